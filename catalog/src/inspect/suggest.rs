//! What a column's name suggests about people. Names only; its values are looked at by the identifier scan.

use crate::ColumnClass;

/// Words of a name that suggest sensitive personal information (PIPL Art. 28).
const SENSITIVE: [&str; 58] = [
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
    "bank_card",
    "bankcard",
    "card_no",
    "cardno",
    "account_no",
    "iban",
    "fingerprint",
    "face",
    "iris",
    "voiceprint",
    "gene",
    "genome",
    "diagnosis",
    "disease",
    "health",
    "medical",
    "patient",
    "religion",
    "gps",
    "latitude",
    "longitude",
    "身份證",
    "身份证",
    "身分證",
    "證件",
    "证件",
    "護照",
    "护照",
    "回鄉證",
    "回乡证",
    "通行證",
    "通行证",
    "銀行卡",
    "银行卡",
    "卡號",
    "卡号",
    "指紋",
    "指纹",
    "人臉",
    "人脸",
    "病歷",
    "病历",
    "診斷",
    "诊断",
    "疾病",
    "宗教",
];

/// Words that suggest personal information.
const PERSONAL: [&str; 60] = [
    "name",
    "surname",
    "given_name",
    "first_name",
    "last_name",
    "fullname",
    "username",
    "nickname",
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
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "age",
    "gender",
    "sex",
    "wechat",
    "weixin",
    "qq",
    "ip",
    "ip_address",
    "imei",
    "mac",
    "plate",
    "license_plate",
    "person",
    "student",
    "staff",
    "employee",
    "user_id",
    "userid",
    "speaker",
    "姓名",
    "名字",
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
    "生日",
    "出生",
    "性別",
    "性别",
    "年齡",
    "年龄",
    "車牌",
];

/// Simplified and variant forms that belong to the words above.
const PERSONAL_MORE: [&str; 6] = ["车牌", "微信", "昵称", "暱稱", "聯絡人", "联系人"];

/// The class that the name of a leaf column suggests.
pub(super) fn class(path: &str) -> ColumnClass {
    // `idNo` and `ID-No` are `id_no`.
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
    // An English word counts as a whole word (`page` is not an age), a Chinese one wherever it stands.
    let says = |word: &&str| {
        if word.is_ascii() {
            words.contains(&format!("_{word}_")) || words.contains(&format!("_{word}s_"))
        } else {
            words.contains(*word)
        }
    };
    if SENSITIVE.iter().any(&says) {
        ColumnClass::Sensitive
    } else if PERSONAL.iter().chain(&PERSONAL_MORE).any(says) {
        ColumnClass::Personal
    } else {
        ColumnClass::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_three_scripts() {
        for name in ["id_no", "idNo", "person.HKID", "身份證號碼", "身份证号", "passport", "BankCard", "GPS"] {
            assert_eq!(class(name), ColumnClass::Sensitive, "{name}");
        }
        for name in ["name", "姓名", "手机号", "手機", "e-mail", "user.emails.list.item", "DOB", "地址", "车牌号"]
        {
            assert_eq!(class(name), ColumnClass::Personal, "{name}");
        }
        for name in ["text", "page", "id", "message", "tokens", "filename", "词语", "language", "interface"] {
            assert_eq!(class(name), ColumnClass::None, "{name}");
        }
    }
}
