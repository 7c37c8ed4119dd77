//! What a column's name and type suggest about people. Its values are looked at by the identifier scan.

use crate::ColumnClass;

/// What may be in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suggestion {
    pub(super) class: ColumnClass,
    /// The sorts of personal information, in the words of PIPL Art. 28 where it names them.
    pub(super) suspected: Vec<&'static str>,
}

/// Which types make the words of a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Any,
    /// Numbers: `lat` in a text is not a latitude.
    Numbers,
    /// Pictures and sound.
    Binary,
}

use ColumnClass::{Personal, Sensitive};

/// Sort, class, types, and words: English ones count as whole words of the name, Chinese ones wherever they stand.
const WORDS: &[(&str, ColumnClass, Of, &[&str])] = &[
    (
        "identity",
        Sensitive,
        Of::Any,
        &[
            "id_no",
            "idno",
            "id_number",
            "idnumber",
            "id_card",
            "idcard",
            "identity",
            "resident_id",
            "hkid",
            "passport",
            "permit_no",
            "ssn",
            "身份證",
            "身份证",
            "身分證",
            "身分证",
            "證件",
            "证件",
            "護照",
            "护照",
            "回鄉證",
            "回乡证",
            "通行證",
            "通行证",
        ],
    ),
    (
        "finance",
        Sensitive,
        Of::Any,
        &[
            "bank_card",
            "bankcard",
            "card_no",
            "cardno",
            "card_number",
            "account_no",
            "account_number",
            "bank_account",
            "iban",
            "credit_score",
            "salary",
            "income",
            "wage",
            "loan",
            "debt",
            "deposit",
            "銀行卡",
            "银行卡",
            "卡號",
            "卡号",
            "銀行賬",
            "银行账",
            "薪金",
            "薪资",
            "薪資",
            "工资",
            "工資",
            "收入",
            "貸款",
            "贷款",
            "存款",
            "信用分",
        ],
    ),
    (
        "face",
        Sensitive,
        Of::Any,
        &["face", "facial", "faceprint", "iris", "retina", "人臉", "人脸", "面容", "虹膜", "面部特徵", "面部特征"],
    ),
    (
        "face",
        Personal,
        Of::Binary,
        &["photo", "portrait", "selfie", "avatar", "image", "picture", "照片", "相片", "頭像", "头像"],
    ),
    ("voice", Sensitive, Of::Any, &["voiceprint", "speaker_embedding", "聲紋", "声纹"]),
    ("voice", Personal, Of::Any, &["speaker", "speaker_id", "說話人", "说话人"]),
    (
        "voice",
        Personal,
        Of::Binary,
        &["voice", "audio", "speech", "recording", "wav", "錄音", "录音", "語音", "语音", "音頻", "音频"],
    ),
    ("fingerprint", Sensitive, Of::Any, &["fingerprint", "palmprint", "指紋", "指纹", "掌紋", "掌纹"]),
    ("gene", Sensitive, Of::Any, &["gene", "genome", "genotype", "genetic", "dna", "snp", "基因", "遺傳", "遗传"]),
    (
        "health",
        Sensitive,
        Of::Any,
        &[
            "diagnosis",
            "disease",
            "health",
            "medical",
            "patient",
            "symptom",
            "medication",
            "prescription",
            "allergy",
            "icd",
            "icd10",
            "blood_type",
            "hiv",
            "disability",
            "pregnant",
            "surgery",
            "病歷",
            "病历",
            "診斷",
            "诊断",
            "疾病",
            "病史",
            "症狀",
            "症状",
            "處方",
            "处方",
            "用藥",
            "用药",
            "過敏",
            "过敏",
            "血型",
            "健康",
            "體檢",
            "体检",
            "殘疾",
            "残疾",
            "懷孕",
            "怀孕",
            "患者",
            "手術",
            "手术",
        ],
    ),
    ("religion", Sensitive, Of::Any, &["religion", "religious", "faith", "church", "宗教", "信仰", "教會", "教会"]),
    (
        "location",
        Sensitive,
        Of::Any,
        &[
            "gps",
            "latitude",
            "longitude",
            "coordinates",
            "geolocation",
            "latlng",
            "trajectory",
            "經度",
            "经度",
            "緯度",
            "纬度",
            "軌跡",
            "轨迹",
            "定位",
            "行蹤",
            "行踪",
        ],
    ),
    ("location", Sensitive, Of::Numbers, &["lat", "lng", "lon"]),
    (
        "contact",
        Personal,
        Of::Any,
        &[
            "phone",
            "mobile",
            "tel",
            "telephone",
            "cell",
            "email",
            "mail",
            "e_mail",
            "address",
            "addr",
            "wechat",
            "weixin",
            "qq",
            "whatsapp",
            "手機",
            "手机",
            "電話",
            "电话",
            "郵箱",
            "邮箱",
            "電郵",
            "电邮",
            "地址",
            "住址",
            "微信",
            "聯絡人",
            "联系人",
        ],
    ),
    ("device", Personal, Of::Any, &["ip", "ip_address", "imei", "imsi", "mac", "mac_address", "device_id"]),
    ("vehicle", Personal, Of::Any, &["plate", "license_plate", "licence_plate", "plate_no", "車牌", "车牌"]),
    (
        "person",
        Personal,
        Of::Any,
        &[
            "name",
            "surname",
            "given_name",
            "first_name",
            "last_name",
            "fullname",
            "username",
            "nickname",
            "birth",
            "birthday",
            "birthdate",
            "date_of_birth",
            "dob",
            "age",
            "gender",
            "sex",
            "person",
            "student",
            "staff",
            "employee",
            "user_id",
            "userid",
            "ethnicity",
            "nationality",
            "姓名",
            "名字",
            "生日",
            "出生",
            "性別",
            "性别",
            "年齡",
            "年龄",
            "昵称",
            "暱稱",
            "民族",
            "國籍",
            "国籍",
        ],
    ),
];

/// What the path and the type of a leaf column suggest.
pub(super) fn of(path: &str, kind: &str) -> Suggestion {
    let words = words(path);
    let says = |word: &&str| {
        if word.is_ascii() {
            // `page` is not an age.
            words.contains(&format!("_{word}_")) || words.contains(&format!("_{word}s_"))
        } else {
            words.contains(*word)
        }
    };
    // The type of a nested column is that of its whole group.
    let numbers = ["Float", "Int", "UInt", "Decimal"].iter().any(|numbers| kind.contains(numbers));
    let binary = kind.contains("Binary");
    let mut suggestion = Suggestion { class: ColumnClass::None, suspected: Vec::new() };
    for (sort, class, of, list) in WORDS {
        let fits = match of {
            Of::Any => true,
            Of::Numbers => numbers,
            Of::Binary => binary,
        };
        if fits && list.iter().any(&says) {
            suggestion.class = suggestion.class.max(*class);
            if !suggestion.suspected.contains(sort) {
                suggestion.suspected.push(sort);
            }
        }
    }
    suggestion
}

/// The words of a path between underscores: `idNo` and `ID-No` are `id_no`.
fn words(path: &str) -> String {
    let mut words = String::from("_");
    let mut lower = false;
    for letter in path.chars() {
        if letter.is_uppercase() && lower {
            words.push('_');
        }
        lower = letter.is_lowercase();
        if letter.is_alphanumeric() {
            words.extend(letter.to_lowercase());
        } else {
            words.push('_');
        }
    }
    words.push('_');
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(path: &str) -> ColumnClass {
        of(path, "Utf8").class
    }

    #[test]
    fn names_in_three_scripts() {
        for name in ["id_no", "idNo", "person.HKID", "身份證號碼", "身份证号", "passport", "BankCard", "GPS"] {
            assert_eq!(class(name), Sensitive, "{name}");
        }
        for name in ["name", "姓名", "手机号", "手機", "e-mail", "user.emails.list.item", "DOB", "地址", "车牌号"]
        {
            assert_eq!(class(name), Personal, "{name}");
        }
        for name in ["text", "page", "id", "message", "tokens", "filename", "词语", "language", "interface", "lat"] {
            assert_eq!(class(name), ColumnClass::None, "{name}");
        }
    }

    #[test]
    fn sorts_are_suspected_from_names_and_types() {
        for (path, kind, sort) in [
            ("face_embedding.list.item", "Float32", "face"),
            ("人脸特征", "Binary", "face"),
            ("photo.bytes", "Binary", "face"),
            ("声纹", "Utf8", "voice"),
            ("audio.bytes", "LargeBinary", "voice"),
            ("genotype", "Utf8", "gene"),
            ("基因型", "Utf8", "gene"),
            ("diagnosis", "Utf8", "health"),
            ("病歷", "Utf8", "health"),
            ("宗教信仰", "Utf8", "religion"),
            ("religion", "Utf8", "religion"),
            ("monthlySalary", "Int64", "finance"),
            ("銀行卡號", "Utf8", "finance"),
            ("lat", "Float64", "location"),
            ("經度", "Float64", "location"),
            ("指纹", "Binary", "fingerprint"),
        ] {
            assert!(of(path, kind).suspected.contains(&sort), "{path}: {:?}", of(path, kind));
        }
        for (path, kind) in [("lat", "Utf8"), ("audio", "Utf8"), ("image_url", "Utf8"), ("general", "Utf8"), ("", "")] {
            assert!(of(path, kind).suspected.is_empty(), "{path}: {:?}", of(path, kind));
        }
    }
}
