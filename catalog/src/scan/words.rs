//! Words beside a number that say what it is: in English, Traditional and Simplified Chinese. They decide about the kinds
//! that a number without meaning passes too (RULES.md §7).

/// What the words around a candidate speak of, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Topics(u16);

impl Topics {
    pub(super) const PHONE: Self = Self(1);
    /// Any identity document.
    pub(super) const DOCUMENT: Self = Self(1 << 1);
    pub(super) const PASSPORT: Self = Self(1 << 2);
    pub(super) const PERMIT: Self = Self(1 << 3);
    pub(super) const CARD: Self = Self(1 << 4);
    pub(super) const PLATE: Self = Self(1 << 5);
    pub(super) const MRZ: Self = Self(1 << 6);
    pub(super) const COMPANY: Self = Self(1 << 7);
    pub(super) const HKID: Self = Self(1 << 8);
    /// Numbers that are nobody's: orders, parcels, books, versions.
    pub(super) const SERIAL: Self = Self(1 << 9);
    /// Money.
    pub(super) const PRICE: Self = Self(1 << 10);

    /// `id` alone: it may be anything's.
    pub(super) const ID: Self = Self(1 << 11);

    const NEGATIVE: Self = Self(Self::SERIAL.0 | Self::PRICE.0);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What speaks against a person's number.
    pub(super) const fn against(self) -> bool {
        self.any(Self::NEGATIVE)
    }
}

use Topics as T;

/// Bytes of text before and after a candidate in which words count.
const BEFORE: usize = 64;
const AFTER: usize = 36;

/// Whole words of English, lower case.
fn english(word: &[u8]) -> T {
    match word {
        b"phone" | b"phones" | b"mobile" | b"mobiles" | b"tel" | b"telephone" | b"cell" | b"cellphone"
        | b"cellular" | b"whatsapp" | b"contact" | b"contacts" | b"call" | b"sms" | b"dial" | b"hotline"
        | b"wechat" | b"telegram" | b"handphone" | b"msisdn" | b"ph" | b"mob" => T::PHONE,
        b"id" => T::ID,
        b"identity" | b"identification" | b"idcard" | b"cnid" | b"resident" => T::DOCUMENT,
        b"hkid" | b"hkic" => T::HKID.and(T::DOCUMENT),
        b"passport" | b"passports" | b"pp" => T::PASSPORT,
        b"permit" | b"permits" | b"hrp" | b"eep" | b"mtp" | b"travel" => T::PERMIT,
        b"bank" | b"bankcard" | b"card" | b"cards" | b"credit" | b"debit" | b"unionpay" | b"visa" | b"mastercard"
        | b"pan" | b"cardholder" | b"amex" | b"iban" | b"cc" | b"account" | b"acct" => T::CARD,
        b"plate" | b"plates" | b"licence" | b"license" | b"vehicle" | b"vehicles" | b"car" | b"cars" | b"vrm"
        | b"registration" | b"taxi" | b"truck" | b"van" | b"parking" | b"parked" => T::PLATE,
        b"mrz" | b"icao" => T::MRZ.and(T::PASSPORT),
        b"uscc" | b"company" | b"organisation" | b"organization" => T::COMPANY,
        b"order" | b"orders" | b"invoice" | b"tracking" | b"waybill" | b"parcel" | b"sku" | b"isbn" | b"issn"
        | b"ean" | b"upc" | b"barcode" | b"serial" | b"version" | b"ver" | b"transaction" | b"txn" | b"ticket"
        | b"batch" | b"hash" | b"sha" | b"timestamp" | b"epoch" => T::SERIAL,
        b"price" | b"prices" | b"amount" | b"total" | b"cost" | b"fee" | b"usd" | b"hkd" | b"cny" | b"rmb"
        | b"yuan" | b"dollars" | b"revenue" | b"paid" | b"salary" | b"balance" | b"turnover" => T::PRICE,
        _ => T::default(),
    }
}

/// Chinese words in both scripts, by their first character: the longer before the shorter.
fn chinese(first: char) -> &'static [(&'static str, T)] {
    const PHONE: T = T::PHONE;
    const DOC: T = T::DOCUMENT;
    match first {
        '电' => &[("电话", PHONE), ("电联", PHONE)],
        '電' => &[("電話", PHONE), ("電聯", PHONE)],
        '手' => &[("手机", PHONE), ("手機", PHONE), ("手提", PHONE)],
        '移' => &[("移动电话", PHONE), ("移動電話", PHONE)],
        '联' => &[("联系", PHONE), ("联络", PHONE)],
        '聯' => &[("聯絡", PHONE), ("聯繫", PHONE), ("聯系", PHONE)],
        '致' => &[("致电", PHONE), ("致電", PHONE)],
        '拨' => &[("拨打", PHONE), ("拨", PHONE)],
        '撥' => &[("撥打", PHONE), ("撥", PHONE)],
        '短' => &[("短信", PHONE), ("短訊", PHONE)],
        '热' => &[("热线", PHONE)],
        '熱' => &[("熱線", PHONE)],
        '微' => &[("微信", PHONE)],
        '身' => &[("身份证", DOC), ("身份證", DOC), ("身分證", DOC), ("身分证", DOC)],
        '居' => &[("居民证", DOC), ("居民證", DOC)],
        '公' => &[("公民身份", DOC), ("公司", T::COMPANY)],
        '证' => &[("证件", DOC), ("证号", DOC)],
        '證' => &[("證件", DOC), ("證號", DOC)],
        '护' => &[("护照", T::PASSPORT)],
        '護' => &[("護照", T::PASSPORT)],
        '旅' => &[("旅行证件", T::PASSPORT), ("旅行證件", T::PASSPORT)],
        '回' => &[("回乡", T::PERMIT), ("回鄉", T::PERMIT)],
        '通' => &[("通行证", T::PERMIT), ("通行證", T::PERMIT)],
        '往' => &[("往来港澳", T::PERMIT), ("往來港澳", T::PERMIT)],
        '来' => &[("来往内地", T::PERMIT)],
        '來' => &[("來往內地", T::PERMIT)],
        '港' => &[("港澳证", T::PERMIT), ("港澳證", T::PERMIT), ("港币", T::PRICE), ("港幣", T::PRICE)],
        '双' => &[("双程证", T::PERMIT)],
        '雙' => &[("雙程證", T::PERMIT)],
        '银' => &[("银行", T::CARD), ("银联", T::CARD)],
        '銀' => &[("銀行", T::CARD), ("銀聯", T::CARD)],
        '卡' => &[("卡号", T::CARD), ("卡號", T::CARD)],
        '信' => &[("信用卡", T::CARD), ("信用代码", T::COMPANY), ("信用代碼", T::COMPANY)],
        '储' => &[("储蓄卡", T::CARD)],
        '儲' => &[("儲蓄卡", T::CARD)],
        '借' => &[("借记卡", T::CARD), ("借記卡", T::CARD)],
        '账' => &[("账号", T::CARD), ("账户", T::CARD)],
        '帳' => &[("帳號", T::CARD), ("帳戶", T::CARD)],
        '賬' => &[("賬號", T::CARD), ("賬戶", T::CARD)],
        '车' => &[("车牌", T::PLATE), ("车辆", T::PLATE), ("车号", T::PLATE), ("车子", T::PLATE)],
        '車' => &[("車牌", T::PLATE), ("車輛", T::PLATE), ("車號", T::PLATE), ("車子", T::PLATE)],
        '牌' => &[("牌照", T::PLATE), ("牌号", T::PLATE), ("牌號", T::PLATE)],
        '号' => &[("号牌", T::PLATE)],
        '號' => &[("號牌", T::PLATE)],
        '登' => &[("登记号", T::PLATE), ("登記號", T::PLATE)],
        '机' => &[("机读", T::MRZ)],
        '機' => &[("機讀", T::MRZ)],
        '统' => &[("统一社会信用", T::COMPANY)],
        '統' => &[("統一社會信用", T::COMPANY)],
        '订' => &[("订单", T::SERIAL)],
        '訂' => &[("訂單", T::SERIAL)],
        '单' => &[("单号", T::SERIAL)],
        '單' => &[("單號", T::SERIAL)],
        '运' => &[("运单", T::SERIAL)],
        '運' => &[("運單", T::SERIAL)],
        '快' => &[("快递", T::SERIAL), ("快遞", T::SERIAL)],
        '流' => &[("流水", T::SERIAL)],
        '发' => &[("发票", T::SERIAL)],
        '發' => &[("發票", T::SERIAL)],
        '版' => &[("版本", T::SERIAL)],
        '条' => &[("条码", T::SERIAL), ("条形码", T::SERIAL)],
        '條' => &[("條碼", T::SERIAL)],
        '书' => &[("书号", T::SERIAL)],
        '書' => &[("書號", T::SERIAL)],
        '序' => &[("序列号", T::SERIAL), ("序列號", T::SERIAL), ("序号", T::SERIAL), ("序號", T::SERIAL)],
        '批' => &[("批号", T::SERIAL), ("批號", T::SERIAL), ("批次", T::SERIAL)],
        '时' => &[("时间戳", T::SERIAL)],
        '時' => &[("時間戳", T::SERIAL)],
        '编' => &[("编号", T::SERIAL)],
        '編' => &[("編號", T::SERIAL)],
        '型' => &[("型号", T::SERIAL), ("型號", T::SERIAL)],
        '哈' => &[("哈希", T::SERIAL)],
        '价' => &[("价格", T::PRICE), ("价", T::PRICE)],
        '價' => &[("價格", T::PRICE), ("價", T::PRICE)],
        '售' => &[("售价", T::PRICE), ("售價", T::PRICE)],
        '金' => &[("金额", T::PRICE), ("金額", T::PRICE)],
        '总' => &[("总额", T::PRICE), ("总价", T::PRICE), ("总计", T::PRICE)],
        '總' => &[("總額", T::PRICE), ("總價", T::PRICE), ("總計", T::PRICE)],
        '合' => &[("合计", T::PRICE), ("合計", T::PRICE)],
        '人' => &[("人民币", T::PRICE), ("人民幣", T::PRICE)],
        _ => &[],
    }
}

/// Endings of a column's name that add nothing: `phoneno`, `cardnumber`.
const ENDINGS: [&[u8]; 6] = [b"no", b"num", b"number", b"nr", b"code", b"list"];

/// After `id`: then it is a document's.
const NUMBER_WORDS: [&[u8]; 6] = [b"no", b"num", b"number", b"card", b"cards", b"document"];

/// A word that is found: what it speaks of, and where it ends.
fn each(text: &[u8], mut found: impl FnMut(T, usize)) {
    let mut at = 0;
    let mut was_id = false;
    while let Some(byte) = text.get(at).copied() {
        if byte.is_ascii_alphabetic() {
            let end = (at..text.len()).find(|at| !text.get(*at).is_some_and(u8::is_ascii_alphabetic));
            let end = end.unwrap_or(text.len());
            let mut lower = [0u8; 16];
            let run = text.get(at..end).unwrap_or_default();
            if let Some(word) = lower.get_mut(..run.len()) {
                word.copy_from_slice(run);
                word.make_ascii_lowercase();
                let mut topics = english(word);
                if was_id && NUMBER_WORDS.contains(&&*word) {
                    topics = T::DOCUMENT;
                }
                was_id = topics == T::ID;
                if topics.is_empty() {
                    let stems = ENDINGS.iter().filter_map(|ending| word.strip_suffix(*ending));
                    topics = stems.map(english).find(|topics| !topics.is_empty()).unwrap_or_default();
                }
                if !topics.is_empty() {
                    found(topics, end);
                }
            }
            at = end;
        } else if (0xe4..=0xe9).contains(&byte) {
            let word = text.get(at..).unwrap_or_default();
            let first = word.get(..3).and_then(|bytes| str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
            let words = first.map(chinese).unwrap_or_default();
            if let Some((text, topics)) = words.iter().find(|(text, _)| word.starts_with(text.as_bytes())) {
                found(*topics, at + text.len());
                at += text.len();
            } else {
                at += 3;
            }
        } else {
            at += 1;
        }
    }
}

/// What a column's path speaks of.
pub(super) fn of_name(path: &str) -> Topics {
    // `mobilePhone` is two words.
    let mut words = String::with_capacity(path.len() + 8);
    let mut lower = false;
    for letter in path.chars() {
        if letter.is_uppercase() && lower {
            words.push(' ');
        }
        lower = letter.is_lowercase();
        words.push(letter);
    }
    let mut topics = T::default();
    each(words.as_bytes(), |found, _| topics = topics.and(found));
    topics
}

/// Whether nothing but signs, or `no`, stands between a word and a number: an order at the start of a sentence does not speak
/// against a number at its end.
fn leads(gap: &[u8]) -> bool {
    let letters: Vec<u8> = gap.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    // Han, but for the rest of `订单编号为`; the signs of Chinese text are none.
    let text = str::from_utf8(gap).unwrap_or_default();
    let han = text
        .chars()
        .any(|letter| letter.is_alphabetic() && !letter.is_ascii() && !"号號编編码碼为為是".contains(letter));
    !han && (letters.is_empty() || ENDINGS.contains(&letters.as_slice()) || letters == b"id")
}

/// What the text around `start..end` speaks of: the nearest words before it, or else those right after it.
pub(super) fn near(text: &[u8], start: usize, end: usize) -> Topics {
    let from = start.saturating_sub(BEFORE);
    let (mut good, mut bad) = ((T::default(), 0), (T::default(), 0));
    each(text.get(from..start).unwrap_or_default(), |topics, at| {
        if topics.against() {
            if text.get(from + at..start).is_some_and(leads) {
                bad = (topics, at);
            }
        } else {
            good = (good.0.and(topics), at);
        }
    });
    if !good.0.is_empty() || !bad.0.is_empty() {
        return if bad.1 > good.1 { bad.0 } else { good.0 };
    }
    let mut after = T::default();
    let to = end.saturating_add(AFTER).min(text.len());
    each(text.get(end..to).unwrap_or_default(), |topics, _| {
        // `51234567, order 9`: what speaks against a number stands before it.
        if !topics.against() {
            after = after.and(topics);
        }
    });
    after
}

/// Whether `start..end` is an amount of money: a sign or unit stands right beside it.
pub(super) fn is_money(text: &[u8], start: usize, end: usize) -> bool {
    let before = text.get(start.saturating_sub(6)..start).unwrap_or_default().trim_ascii_end();
    let after = text.get(end..end.saturating_add(8).min(text.len())).unwrap_or_default().trim_ascii_start();
    ["$", "¥", "￥", "€", "£"].iter().any(|sign| before.ends_with(sign.as_bytes()))
        || ["元", "圆", "圓", "港元", "美元", "万", "萬", "%", "％"]
            .iter()
            .any(|unit| after.starts_with(unit.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_three_scripts() {
        for (name, topic) in [
            ("phone", T::PHONE),
            ("mobilePhone", T::PHONE),
            ("user.phoneno", T::PHONE),
            ("联系电话", T::PHONE),
            ("手提電話", T::PHONE),
            ("passport_no", T::PASSPORT),
            ("護照號碼", T::PASSPORT),
            ("回乡证号", T::PERMIT),
            ("往來港澳通行證", T::PERMIT),
            ("idcard", T::DOCUMENT),
            ("id_no", T::DOCUMENT),
            ("id", T::ID),
            ("身分證號", T::DOCUMENT),
            ("card_number", T::CARD),
            ("銀行卡號", T::CARD),
            ("车牌", T::PLATE),
            ("orderNo", T::SERIAL),
            ("price", T::PRICE),
            ("金額", T::PRICE),
        ] {
            assert!(of_name(name).any(topic), "{name}: {:?}", of_name(name));
        }
        for name in ["telescope", "hotel", "plateau", "value", "文字", "page", "cardinal", ""] {
            assert!(of_name(name).is_empty(), "{name}: {:?}", of_name(name));
        }
    }

    #[test]
    fn the_nearest_word_before_decides() {
        let topics = |text: &str| {
            let start = text.find('#').unwrap_or(0);
            near(text.as_bytes(), start, start + 1)
        };
        assert!(topics("order 5, call me on my mobile at #").any(T::PHONE));
        assert!(topics("电话 51234567，订单号 #").against());
        assert!(topics("# (mobile)").any(T::PHONE));
        assert!(topics("訂單 #，電話 5123").against());
        assert!(topics("請於下午聯絡我：#").any(T::PHONE));
        assert!(topics("#, order 9").is_empty());
        assert!(topics("nothing to see # here").is_empty());
    }

    #[test]
    fn money_is_no_number_of_a_person() {
        for (text, want) in [("HK$#", true), ("￥ #", true), ("#元", true), ("# 元", true), ("tel #", false)] {
            let start = text.find('#').unwrap_or(0);
            assert_eq!(is_money(text.as_bytes(), start, start + 1), want, "{text}");
        }
    }
}
