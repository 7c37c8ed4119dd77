//! Random facts that reach every rule: thresholds, dates and places are drawn near where they matter.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

/// splitmix64: the whole state is the seed that a failure prints.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = usize::try_from(self.below(from.len() as u64)).unwrap();
        from[index].clone()
    }

    fn days(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from + 1).unwrap())).unwrap()
    }
}

const PLACES: &[&str] = &[
    "CN",
    "CN-440300",
    "CN-440100",
    "CN-440700",
    "CN-441900",
    "CN-442000",
    "CN-440500",
    "CN-110000",
    "CN-990000",
    "HK",
    "HK",
    "HK",
    "MO",
    "TW",
    "GB",
    "US",
];

/// One set of facts, always valid input.
pub fn facts(random: &mut Random) -> Value {
    let (exporter, recipient, accessed) = parties(random);
    let (now, effective) = dates(random);
    let columns = columns(random);
    let mut facts = json!({
        "now": now,
        "purpose": random.pick(&["academic-research", "academic-research", "marketing"]),
        "exporter": { "id": "qh-broker", "place": exporter, "ciio": random.pick(&["no", "no", "no", "no", "yes", "unknown"]), "counters": counters(random) },
        "recipient": {
            "id": "hku", "place": recipient, "accessed_from": accessed,
            "restricted": random.one_in(20), "foreign_authority_request": random.one_in(20),
        },
        "dataset": {
            "id": random.pick(&["yue-speech", "yue-speech", "other"]), "version": "1",
            "class": random.pick(&["general", "general", "general", "general", "general", "general", "important", "unknown", "core"]),
            "important_status": random.pick(&["no", "no", "no", "no", "no", "no", "no", "notified", "published", "self_suspected", "unknown"]),
            "state_secret": random.one_in(25), "controlled_item": random.one_in(8),
            "genetic_resource": random.one_in(15), "geospatial": random.one_in(15),
            "source_statement": !random.one_in(20),
            "collected_in": random.pick(&[json!(["CN"]), json!(["HK"]), json!([]), json!(["HK", "CN-440300"]), json!(["GB", "US"])]),
            "domestic_pi_introduced": random.one_in(4),
            "columns": columns,
        },
        "columns": selection(random, &columns),
        "preconditions": { "notice": !random.one_in(15), "separate_consent": !random.one_in(15) },
    });
    optional(random, &mut facts["preconditions"], "pipia", |random| {
        json!(random.pick(&["PIPIA-1", "PIPIA-1", "PIPIA-1", "PIPIA-1", "PIPIA-1", ""]))
    });
    if random.one_in(3) {
        facts["preconditions"]["pipia"] = json!("PIPIA-2");
    }
    optional(random, &mut facts["dataset"], "subjects", subjects);
    optional(random, &mut facts["dataset"], "received_under", |random| {
        if random.one_in(2) {
            return Value::Null;
        }
        json!({ "kind": "gba_sc", "direction": random.pick(&["CN->HK", "HK->CN"]) })
    });
    optional(random, &mut facts, "licence", |random| json!(random.pick(&["", "LIC-9"])));
    optional(random, &mut facts, "mechanism", |random| mechanism(random, effective));
    optional(random, &mut facts, "exemption", |random| {
        if random.one_in(2) {
            return Value::Null;
        }
        let kind = random.pick(&["transit", "individual-contract", "hr", "emergency"]);
        let mut exemption = json!({ "kind": kind });
        optional(random, &mut exemption, "evidence", |random| json!(random.pick(&["sha256:aa", "sha256:aa", ""])));
        exemption
    });
    optional(
        random,
        &mut facts,
        "hk",
        |random| json!({ "dpp3": random.pick(&["same-purpose", "consented", "research-exempt", "new-purpose", "unknown"]) }),
    );
    if random.one_in(3) {
        faultless(&mut facts);
        if random.one_in(6) {
            assessed(&mut facts);
        }
    }
    facts
}

/// Takes away what has nothing to do with numbers and mechanisms, so that those decide.
fn faultless(facts: &mut Value) {
    for member in ["restricted", "foreign_authority_request"] {
        facts["recipient"][member] = json!(false);
    }
    for member in ["state_secret", "controlled_item", "genetic_resource", "geospatial"] {
        facts["dataset"][member] = json!(false);
    }
    facts["dataset"]["source_statement"] = json!(true);
    facts["dataset"]["class"] = json!("general");
    facts["dataset"]["important_status"] = json!("no");
    facts["dataset"]["received_under"] = Value::Null;
    facts["preconditions"] = json!({ "notice": true, "separate_consent": true, "pipia": "PIPIA-1" });
    facts["exporter"]["counters"]["baseline"] = json!(true);
    if let Some(mechanism) = facts["mechanism"].as_object_mut() {
        mechanism.insert("datasets".to_owned(), json!(["*"]));
    }
}

/// Puts an assessment on file that holds: what the highest steps of the ladder wait for.
fn assessed(facts: &mut Value) {
    facts["mechanism"] = json!({
        "kind": "sa", "reference": "REF-2", "effective": "2022-01-01", "expires": "2099-12-31",
        "datasets": ["*"], "purposes": ["*"],
    });
}

/// Sets a member four times out of five; else it is null or absent.
fn optional(random: &mut Random, object: &mut Value, name: &str, make: impl Fn(&mut Random) -> Value) {
    match random.below(10) {
        0 => {}
        1 => object[name] = Value::Null,
        _ => object[name] = make(random),
    }
}

fn parties(random: &mut Random) -> (&'static str, &'static str, &'static str) {
    match random.below(10) {
        // The main road, out of Shenzhen into Hong Kong.
        0..5 => ("CN-440300", "HK", "HK"),
        5 | 6 => ("HK", random.pick(&["CN-440300", "HK", "CN-110000"]), random.pick(&["HK", "CN-440300", "unknown"])),
        _ => {
            let accessed = if random.one_in(8) { "unknown" } else { random.pick(PLACES) };
            (random.pick(PLACES), random.pick(PLACES), accessed)
        }
    }
}

fn counters(random: &mut Random) -> Value {
    let near = |random: &mut Random, marks: &[u64]| {
        let mark = random.pick(marks);
        if random.one_in(3) { random.below(mark + 10) } else { (mark + random.below(4)).saturating_sub(2) }
    };
    json!({
        "persons": near(random, &[0, 0, 88_000, 99_000, 100_000, 988_000, 999_000, 1_000_000, (1u64 << 53) - 3]),
        "sensitive": near(random, &[0, 0, 0, 9_700, 9_990, 10_000, (1u64 << 53) - 3]),
        "baseline": !random.one_in(15),
    })
}

fn subjects(random: &mut Random) -> Value {
    let persons = random.pick(&[0, 1, 200, 300, 1_000, 12_000, 12_000, 12_000, 100_000, 1_000_000, (1u64 << 53) - 1]);
    let sensitive = random.pick(&[0, 0, 1, 10, 300, 300, 10_000, (1u64 << 53) - 1]);
    json!({ "persons": persons, "sensitive": sensitive, "under_14": random.pick(&[0, 0, 0, 0, 1, 3, (1u64 << 53) - 1]) })
}

fn columns(random: &mut Random) -> Vec<Value> {
    let names = ["text", "speaker_age", "id_no", "district", "voice"];
    let count = usize::try_from(random.below(6)).unwrap();
    names
        .iter()
        .take(count)
        .map(|name| json!({ "name": name, "class": random.pick(&["none", "none", "personal", "sensitive"]) }))
        .collect()
}

fn selection(random: &mut Random, columns: &[Value]) -> Value {
    if random.one_in(3) {
        return json!("*");
    }
    let mut names: Vec<Value> = Vec::new();
    for column in columns {
        if !random.one_in(4) {
            // At either end, so that the request's order differs from the dataset's.
            let at = if random.one_in(2) { 0 } else { names.len() };
            names.insert(at, column["name"].clone());
        }
    }
    json!(names)
}

/// A time and the day on which a mechanism takes effect, near each other more often than not.
fn dates(random: &mut Random) -> (String, Date) {
    let effective = match random.below(4) {
        0 => date(2026, 10, 1).saturating_add(random.days(0, 60).days()),
        // The ends of what the calendars cover.
        1 => date(random.pick(&[2022, 2026]), 12, 1).saturating_add(random.days(0, 45).days()),
        _ => date(2022, 11, 1).saturating_add(random.days(0, 1_700).days()),
    };
    let day = match random.below(8) {
        0 => date(2026, 11, 22),
        1 => effective.saturating_add(random.days(-5, 400).days()),
        _ => effective.saturating_add(random.days(-2, 30).days()),
    };
    let time = random.pick(&[
        "T10:00:00+08:00",
        "T00:00:00+08:00",
        "T23:59:59.999+08:00",
        "T15:59:59Z",
        "T16:00:00Z",
        "T23:30:00-11:00",
        "t01:02:03z",
    ]);
    (format!("{day}{time}"), effective)
}

fn mechanism(random: &mut Random, effective: Date) -> Value {
    if random.one_in(6) {
        return Value::Null;
    }
    let mut mechanism = json!({
        "kind": random.pick(&["gba_sc", "gba_sc", "gba_sc", "sc", "cert", "sa"]),
        "reference": "REF-1",
        "effective": effective.to_string(),
        "datasets": random.pick(&[json!(["yue-speech"]), json!(["*"]), json!(["other", "yue-speech"]), json!(["other"]), json!([])]),
        "purposes": random.pick(&[json!(["academic-research"]), json!(["*"]), json!(["academic-research", "marketing"]), json!([])]),
    });
    optional(random, &mut mechanism, "filed", |random| {
        json!(effective.saturating_add(random.days(-3, 25).days()).to_string())
    });
    optional(random, &mut mechanism, "expires", |random| {
        json!(effective.saturating_add(random.pick(&[0, 5, 20, 365, 1_096]).days()).to_string())
    });
    optional(random, &mut mechanism, "persons_max", |random| {
        json!(random.pick(&[0, 11_999, 12_000, 50_000, (1u64 << 53) - 1]))
    });
    mechanism
}
