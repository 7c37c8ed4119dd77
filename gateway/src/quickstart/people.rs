//! Invented people and the courses they took, from a fixed seed.
//!
//! Every identity number carries a right check digit, so that recognisers find it, and lies in a range that no
//! authority gives to a person, so that none is anybody's.

mod numbers;
mod random;

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::corpora::CorpusError;
use numbers::{cn_resident_id, hkid};
use random::Random;

/// Invented persons; the manifest declares as many.
pub const PERSONS: u32 = 8_000;
/// The columns that the manifest calls sensitive.
pub const SENSITIVE: [&str; 3] = ["id_no", "hkid", "phone"];

const SEED: u64 = 0x0000_4B4F_5541_4E31;
/// The year of the enrolments, for the age bands.
const YEAR: u32 = 2026;
/// 1 January 2026 as days since 1970.
const FIRST_DAY: i32 = 20_454;
/// Enrolments fall within so many days.
const DAYS: u64 = 181;

/// County code 99 of Shenzhen and of the Hong Kong permits: never assigned.
const AREA_MAINLAND: &str = "440399";
const AREA_HONG_KONG: &str = "810099";
/// No series of identity cards begins with these letters.
const HKID_PREFIX: &str = "QX";

const SURNAMES: [(&str, &str); 20] = [
    ("陈", "陳"),
    ("林", "林"),
    ("黄", "黃"),
    ("张", "張"),
    ("李", "李"),
    ("王", "王"),
    ("吴", "吳"),
    ("刘", "劉"),
    ("蔡", "蔡"),
    ("杨", "楊"),
    ("许", "許"),
    ("郑", "鄭"),
    ("谢", "謝"),
    ("郭", "郭"),
    ("洪", "洪"),
    ("邱", "邱"),
    ("曾", "曾"),
    ("廖", "廖"),
    ("赖", "賴"),
    ("周", "周"),
];
const GIVEN: [(&str, &str); 24] = [
    ("嘉", "嘉"),
    ("敏", "敏"),
    ("伟", "偉"),
    ("芳", "芳"),
    ("国", "國"),
    ("丽", "麗"),
    ("志", "志"),
    ("华", "華"),
    ("颖", "穎"),
    ("俊", "俊"),
    ("杰", "傑"),
    ("怡", "怡"),
    ("欣", "欣"),
    ("文", "文"),
    ("雅", "雅"),
    ("宇", "宇"),
    ("晓", "曉"),
    ("明", "明"),
    ("静", "靜"),
    ("思", "思"),
    ("慧", "慧"),
    ("浩", "浩"),
    ("然", "然"),
    ("诗", "詩"),
];
const DISTRICTS: [&str; 9] = ["罗湖", "福田", "南山", "宝安", "龙岗", "盐田", "龙华", "坪山", "光明"];
const OCCUPATIONS: [&str; 8] =
    ["engineer", "teacher", "nurse", "accountant", "designer", "logistics", "student", "other"];
const COURSES: [&str; 8] =
    ["数据合规", "粤语入门", "机器学习", "跨境贸易", "English writing", "会计基础", "网络安全", "普通話"];

/// A person, before their enrolments.
struct Person {
    id: String,
    name: String,
    residence: &'static str,
    gender: &'static str,
    age_band: &'static str,
    district: &'static str,
    occupation: &'static str,
    id_no: String,
    hkid: Option<String>,
    phone: String,
}

impl Person {
    fn invent(number: u32, random: &mut Random) -> Self {
        // A quarter live in Qianhai with a residence permit for Hong Kong people.
        let hong_kong = random.below(4) == 0;
        let year = 1955 + random.below_u32(50);
        let (month, day) = (1 + random.below_u32(12), 1 + random.below_u32(28));
        let sequence = 1 + random.below_u32(998);
        let female = sequence.is_multiple_of(2);
        let area = if hong_kong { AREA_HONG_KONG } else { AREA_MAINLAND };
        let digits = random.below_u32(1_000_000);
        // Ranges in which no subscriber's number is given out: 140 is for machines, 40 is empty.
        let phone = if hong_kong {
            format!("40{:06}", random.below(1_000_000))
        } else {
            format!("1400{:07}", random.below(10_000_000))
        };
        Self {
            id: format!("P{number:05}"),
            name: name(hong_kong, random),
            residence: if hong_kong { "hong_kong" } else { "mainland" },
            gender: if female { "female" } else { "male" },
            age_band: age_band(YEAR - year),
            district: random.pick(&DISTRICTS),
            occupation: random.pick(&OCCUPATIONS),
            id_no: cn_resident_id(&format!("{area}{year}{month:02}{day:02}{sequence:03}")),
            hkid: hong_kong.then(|| hkid(HKID_PREFIX, digits)),
            phone,
        }
    }
}

fn name(traditional: bool, random: &mut Random) -> String {
    let written = |(simplified, other): (&'static str, &'static str)| if traditional { other } else { simplified };
    let mut name = written(random.pick(&SURNAMES)).to_owned();
    for _ in 0..=random.below(2) {
        name.push_str(written(random.pick(&GIVEN)));
    }
    name
}

const fn age_band(age: u32) -> &'static str {
    match age {
        0..=29 => "18-29",
        30..=39 => "30-39",
        40..=49 => "40-49",
        50..=59 => "50-59",
        _ => "60+",
    }
}

/// The columns while they grow.
#[derive(Default)]
struct Columns {
    people: Vec<Person>,
    /// For each row, its person's position.
    person: Vec<usize>,
    course: Vec<&'static str>,
    enrolled_on: Vec<i32>,
    hours: Vec<i32>,
}

impl Columns {
    fn text(&self, of: impl Fn(&Person) -> Option<&str>) -> ArrayRef {
        let rows = self.person.iter().map(|position| self.people.get(*position).and_then(&of));
        Arc::new(rows.collect::<StringArray>())
    }
}

/// All rows: one to four enrolments of each person.
///
/// # Errors
///
/// [`CorpusError::Rows`] if the columns do not fit their schema.
pub fn batch() -> Result<RecordBatch, CorpusError> {
    let mut random = Random::new(SEED);
    let mut columns = Columns::default();
    for number in 1..=PERSONS {
        let person = Person::invent(number, &mut random);
        for _ in 0..=random.below(4) {
            columns.person.push(columns.people.len());
            columns.course.push(random.pick(&COURSES));
            columns.enrolled_on.push(FIRST_DAY + i32::try_from(random.below(DAYS)).unwrap_or(0));
            columns.hours.push(8 * (1 + i32::try_from(random.below(6)).unwrap_or(0)));
        }
        columns.people.push(person);
    }
    let rows = i64::try_from(columns.person.len()).unwrap_or(i64::MAX);
    let field = |name: &str, kind| Field::new(name, kind, false);
    let schema = Schema::new(vec![
        field("record_id", DataType::Int64),
        field("person_id", DataType::Utf8),
        field("name", DataType::Utf8),
        field("id_no", DataType::Utf8),
        Field::new("hkid", DataType::Utf8, true),
        field("phone", DataType::Utf8),
        field("residence", DataType::Utf8),
        field("gender", DataType::Utf8),
        field("age_band", DataType::Utf8),
        field("district", DataType::Utf8),
        field("occupation", DataType::Utf8),
        field("course", DataType::Utf8),
        field("enrolled_on", DataType::Date32),
        field("hours", DataType::Int32),
    ]);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(1..=rows)),
        columns.text(|person| Some(&person.id)),
        columns.text(|person| Some(&person.name)),
        columns.text(|person| Some(&person.id_no)),
        columns.text(|person| person.hkid.as_deref()),
        columns.text(|person| Some(&person.phone)),
        columns.text(|person| Some(person.residence)),
        columns.text(|person| Some(person.gender)),
        columns.text(|person| Some(person.age_band)),
        columns.text(|person| Some(person.district)),
        columns.text(|person| Some(person.occupation)),
        Arc::new(StringArray::from(columns.course)),
        Arc::new(Date32Array::from(columns.enrolled_on)),
        Arc::new(Int32Array::from(columns.hours)),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), arrays)?)
}
