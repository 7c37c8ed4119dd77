//! Commands to go on with, ready to paste: the command line, curl, pandas, Arrow Flight, a browser.

use std::path::Path;

use super::corpora::{PEOPLE, PHRASES, PURPOSE, VERSION};
use super::layout::BROWSER_PASSWORD;

/// The lines, for the gateway at `url` with the folder `dir`.
pub fn lines(url: &str, authority: &str, admin: &str, dir: &Path) -> Vec<String> {
    // Absolute, so that they work from wherever they are pasted; a path that has none is given as it is.
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let dir = quoted(&dir.to_string_lossy());
    let (phrases, file, people) = (PHRASES.id, PHRASES.file, PEOPLE.id);
    let text = format!(
        r#"As researcher-alice of HKU; the other principals lie beside her in {dir}/pki:

  export KOUAN_GATEWAY={url}
  export KOUAN_CERT={dir}/pki/hku/researcher-alice.pem
  export KOUAN_KEY={dir}/pki/hku/researcher-alice.key
  export KOUAN_CA={dir}/pki/trust.pem

  kouan dataset list
  kouan plan {people} --purpose {PURPOSE}
  kouan pull {phrases} --purpose {PURPOSE} --out /tmp/kouan-pull
  kouan audit verify {dir}/data/log --key {dir}/pki/log.vkey

curl, a range of the file:

  curl --cert $KOUAN_CERT --key $KOUAN_KEY --cacert $KOUAN_CA -r 0-99 -o head.bin \
    "$KOUAN_GATEWAY/v1/datasets/{phrases}/versions/{VERSION}/files/{file}?purpose={PURPOSE}"

pandas over HTTPS ranges (pip install pandas pyarrow fsspec aiohttp):

  python3 - <<'PY'
  import os, ssl, fsspec, pandas
  tls = ssl.create_default_context(cafile=os.environ["KOUAN_CA"])
  tls.load_cert_chain(os.environ["KOUAN_CERT"], os.environ["KOUAN_KEY"])
  url = os.environ["KOUAN_GATEWAY"] + "/v1/datasets/{phrases}/versions/{VERSION}/files/{file}"
  with fsspec.filesystem("https", ssl=tls).open(url) as file:
      print(pandas.read_parquet(file, columns=["source", "target"]).head())
  PY

Arrow Flight (pip install pyarrow):

  python3 - <<'PY'
  import os, pyarrow.flight as flight
  read = lambda name: open(os.environ[name], "rb").read()
  client = flight.connect("grpc+tls://{authority}", tls_root_certs=read("KOUAN_CA"),
                          cert_chain=read("KOUAN_CERT"), private_key=read("KOUAN_KEY"))
  info = client.get_flight_info(flight.FlightDescriptor.for_path("{phrases}"))
  for endpoint in info.endpoints:
      print(client.do_get(endpoint.ticket).read_all().num_rows)
  PY

Browser: the web console comes in a later release. Its certificate is there already:
  {dir}/pki/regulator/compliance-chan.p12 (password: {BROWSER_PASSWORD}); import it under Certificates > Your certificates.

Health and metrics, plain HTTP on this machine only: http://{admin}/readyz  http://{admin}/metrics"#
    );
    text.lines().map(str::to_owned).collect()
}

/// A path that a shell reads back as one word.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-_./+=@%".contains(&byte);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_is_named() {
        let all =
            lines("https://127.0.0.1:8443", "127.0.0.1:8443", "127.0.0.1:9443", Path::new("/nowhere/a b")).join("\n");
        for part in [
            "export KOUAN_GATEWAY=https://127.0.0.1:8443",
            "KOUAN_CERT='/nowhere/a b'/pki/hku/researcher-alice.pem",
            "curl --cert",
            "grpc+tls://127.0.0.1:8443",
            "compliance-chan.p12",
            "later release",
            "http://127.0.0.1:9443/readyz",
        ] {
            assert!(all.contains(part), "{part} in\n{all}");
        }
    }
}
