#![allow(clippy::unwrap_used, clippy::panic)]

use clap::CommandFactory as _;

use super::*;
use crate::exit::Exit;
use crate::testing::{Captured, captured};

fn parsed(line: &str) -> Result<Cli, (Exit, Captured)> {
    let (mut io, captured) = captured([]);
    crate::parse(line.split_whitespace(), &mut io).map_err(|exit| (exit, captured))
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_of_the_contract_is_read() {
    for line in [
        "kouan quickstart --dir d --listen 127.0.0.1:0 --exit",
        "kouan serve --config kouan.toml",
        "kouan cert ca pki/hku --trust-domain hku.hk --days 90",
        "kouan cert issue pki/hku spiffe://hku.hk/researcher/alice",
        "kouan cert issue pki/server --dns localhost --ip 127.0.0.1",
        "kouan cert revoke pki/hku alice.pem --reason key-compromise",
        "kouan cert crl pki/hku",
        "kouan cert show a.pem",
        "kouan cert p12 a.pem --password-file p",
        "kouan participant add hku.toml",
        "kouan participant add --id hku --trust-domain hku.hk --place HK --role researcher --ca-file ca.pem",
        "kouan participant suspend hku --reason audit",
        "kouan dataset inspect data",
        "kouan dataset register m.toml --data a.parquet b.csv",
        "kouan dataset register m.toml --from a.parquet",
        "kouan dataset submit yue-speech@1",
        "kouan dataset withdraw yue-speech@1 --reason wrong",
        "kouan dataset search 資料庫 --limit 5",
        "kouan agreement accept yue-speech --purpose academic-research",
        "kouan lease cut l-1 --reason now",
        "kouan mechanism add --kind gba_sc --reference R --exporter qianhai --recipient hku --effective 2026-10-01",
        "kouan mechanism add m.toml --document a.pdf --document b.pdf",
        "kouan mechanism filed m-1 --filed 2026-10-09 --document a.pdf",
        "kouan plan yue-speech --columns a,b --purpose academic-research",
        "kouan pull yue-speech@1 --columns a,b --redact --purpose p --accept --max-price 100 --file x.parquet --format csv --out d --parallel 8",
        "kouan policy decide --facts - --batch",
        "kouan audit verify log --key log.vkey --since old",
        "kouan audit proof 7 --key log.vkey --key me.key --out p.tlog-proof",
        "kouan audit search --effect deny --rule CN-06",
        "kouan statement --participant hku --period 2026-11 --format csv",
        "kouan statement --participant hku --period 2026-11 --format pdf --out s.pdf --font f.ttc",
        "kouan payment record a-1 --amount 500 --currency HKD --on 2026-11-28 --bank slip.pdf --reference SW-1 --rate fx-1 --spread 3",
        "kouan payment reverse pay-1 --reason wrong",
        "kouan fx add --from HKD --to CNY --rate 9123/10000 --source HKMA --as-of 2026-11-27",
        "kouan fx list",
        "kouan books",
        "kouan statement --participant hku --period 2026-11 --proof --log-key log.vkey",
        "kouan incentive list",
        "kouan incentive evaluate --programme qianhai-broker-reward-2024 --year 2026 --input -",
        "kouan incentive claim --programme p --year 2026 --out claim.zip",
        "kouan incentive verify claim.zip --key log.vkey",
        "kouan incentive refuse c-1 --reason wrong",
        "kouan completions bash",
        "kouan doctor --gateway https://localhost:8443",
        "kouan review request yue-speech@1 --columns a,b --redact --purpose p --note why",
        "kouan review request --leaf 17",
        "kouan review list --state open --limit 5",
        "kouan review show v-1",
        "kouan review release v-1 --reason r --reference f --until 2026-12-31 --persons 5 --sensitive 1 --under-14 0",
        "kouan review refuse v-1 --reason r",
        "kouan review withdraw v-1 --reason r",
    ] {
        assert!(parsed(line).is_ok(), "{line}");
        assert!(parsed(&format!("{line} --json")).unwrap().json, "{line}");
    }
}

#[test]
fn columns_are_repeated_or_separated_by_commas() {
    let Command::Pull(args) = parsed("kouan pull yue-speech --columns a,b --columns c").unwrap().command else {
        panic!("not a pull");
    };
    assert_eq!(args.columns, ["a", "b", "c"]);
    assert_eq!((args.parallel, args.format), (4, pull::Format::Parquet));
}

#[test]
fn usage_errors_are_one_json_object_with_json() {
    for line in [
        "kouan pull --json",
        "kouan --json pull Bad_Name",
        "kouan nonsense --json",
        "kouan pull x --parallel 99 --json",
        "kouan review request --json",
        "kouan review request yue-speech --leaf 3 --json",
        "kouan review release v-1 --reason r --reference f --until 2026-12-31 --persons 5 --json",
    ] {
        let (exit, captured) = parsed(line).unwrap_err();
        assert_eq!(exit, Exit::Usage, "{line}");
        let value: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
        assert_eq!(value.pointer("/error/code").unwrap(), "usage", "{line}");
        assert!(captured.err().is_empty(), "{line}");
    }
    let (exit, captured) = parsed("kouan pull").unwrap_err();
    assert_eq!(exit, Exit::Usage);
    assert!(captured.out().is_empty() && captured.err().contains("DATASET"));
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["kouan --help", "kouan --version", "kouan pull --help"] {
        let (exit, captured) = parsed(line).unwrap_err();
        assert_eq!(exit, Exit::Success, "{line}");
        assert!(captured.out().contains("kouan"), "{line}");
    }
}

#[tokio::test]
async fn what_comes_later_is_a_clear_error() {
    for line in [
        "kouan deliver a --to b --json",
        "kouan agent --listen 127.0.0.1:0 --json",
        "kouan pull yue-speech --where a>1 --json",
        "kouan plan yue-speech --where a>1 --json",
    ] {
        let cli = parsed(line).unwrap();
        let (mut io, captured) = captured([]);
        assert_eq!(crate::execute(&cli, &mut io).await, Exit::Usage, "{line}");
        let value: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
        assert_eq!(value.pointer("/error/code").unwrap(), "not_yet", "{line}");
    }
}
