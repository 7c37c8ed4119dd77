//! Warnings in words.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::decision::Message;
use crate::word::words;

words! {
    /// What is due or overdue. A small fixed set: metrics use it as a label.
    pub enum WarningCode {
        /// It carries nothing yet.
        Unconfirmed = "unconfirmed",
        /// A filing is recorded that counts once it is confirmed.
        FilingUnconfirmed = "filing_unconfirmed",
        /// The contract is in force and not filed.
        FilingDue = "filing_due",
        /// It was not filed in time.
        FilingOverdue = "filing_overdue",
        /// Whether it was filed in time cannot be counted.
        CalendarMissing = "calendar_missing",
        /// An extension is to be asked for.
        ExtensionDue = "extension_due",
        /// The cautious day for that has passed.
        ExtensionLate = "extension_late",
        /// The certificate is to be renewed.
        RenewalDue = "renewal_due",
        /// The day for that has passed.
        RenewalLate = "renewal_late",
        /// It ends soon.
        ExpirySoon = "expiry_soon",
        /// It has ended.
        Expired = "expired",
        /// It has no end date and needs one.
        ExpiryMissing = "expiry_missing",
    }
}

/// Something that a person should do about a mechanism.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What.
    pub code: WarningCode,
    /// The rule that denies when nothing is done, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The law that sets the day.
    pub citation: String,
    /// By when, or since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
    /// What to do.
    pub message: Message,
}

const NEEDED: &str = "PIPL Art. 38; CAC Order 16 《促进和规范数据跨境流动规定》 Art. 7, 8";
const FILING: &str = "《个人信息出境标准合同办法》 Art. 7; GBA standard contract guide Art. 8";
const EXTENSION: &str = "CAC Order 16 《促进和规范数据跨境流动规定》 Art. 9; 《数据出境安全评估办法》 Art. 14";
const RENEWAL: &str = "《个人信息出境认证办法》 (Order 20)";
const VALIDITY: &str = "CAC Order 16 《促进和规范数据跨境流动规定》 Art. 9; 《个人信息出境认证办法》";

impl Warning {
    pub(super) fn new(code: WarningCode, day: Option<Date>) -> Self {
        let d = day.map(|day| day.to_string()).unwrap_or_default();
        let (rule, citation, [en, zh_hans, zh_hant]) = text(code, &d);
        Self {
            code,
            rule: rule.map(str::to_owned),
            citation: citation.to_owned(),
            day,
            message: Message { en, zh_hans, zh_hant },
        }
    }
}

type Words = (Option<&'static str>, &'static str, [String; 3]);

fn text(code: WarningCode, d: &str) -> Words {
    match code {
        WarningCode::Unconfirmed => (
            Some("MECH-MISSING"),
            NEEDED,
            [
                "It carries nothing until an authority's officer has confirmed it.".to_owned(),
                "在主管机构人员确认之前，不能作为出境依据。".to_owned(),
                "在主管機構人員確認之前，不能作為出境依據。".to_owned(),
            ],
        ),
        WarningCode::FilingUnconfirmed => (
            Some("MECH-FILING"),
            FILING,
            [
                format!(
                    "A filing is recorded and counts once an authority's officer has confirmed it; the deadline is {d}."
                ),
                format!("备案已登记，待主管机构人员确认后生效；备案期限为{d}。"),
                format!("備案已登記，待主管機構人員確認後生效；備案期限為{d}。"),
            ],
        ),
        WarningCode::FilingDue => (
            Some("MECH-FILING"),
            FILING,
            [
                format!(
                    "The contract is in force and no filing is on record: file it by {d} at the latest and record the day."
                ),
                format!("合同已生效而未见备案记录：最迟于{d}备案，并登记备案日。"),
                format!("合同已生效而未見備案記錄：最遲於{d}備案，並登記備案日。"),
            ],
        ),
        WarningCode::FilingOverdue => (
            Some("MECH-FILING"),
            FILING,
            [
                format!("The contract had to be filed by {d}, within ten working days; exports under it are denied."),
                format!("合同应于{d}前（生效后十个工作日内）备案；依其出境将被拒绝。"),
                format!("合同應於{d}前（生效後十個工作日內）備案；依其出境將被拒絕。"),
            ],
        ),
        WarningCode::CalendarMissing => (
            Some("MECH-CALENDAR"),
            FILING,
            [
                format!(
                    "The working-day calendar for the filing deadline is missing, so only a filing until {d} counts as in time."
                ),
                format!("缺少计算备案期限所需的工作日历，仅{d}前的备案可视为按期。"),
                format!("缺少計算備案期限所需的工作日曆，僅{d}前的備案可視為按期。"),
            ],
        ),
        WarningCode::ExtensionDue => (
            None,
            EXTENSION,
            [
                format!("The assessment ends in less than 120 working days: ask for its extension by {d}."),
                format!("评估结果有效期届满不足120个工作日：请于{d}前申请延长。"),
                format!("評估結果有效期屆滿不足120個工作日：請於{d}前申請延長。"),
            ],
        ),
        WarningCode::ExtensionLate => (
            None,
            EXTENSION,
            [
                format!(
                    "Its last 60 working days have begun after {d}: ask for the extension today, or let a new assessment begin."
                ),
                format!("{d}后已进入届满前60个工作日：请即日申请延长，或重新申报评估。"),
                format!("{d}後已進入屆滿前60個工作日：請即日申請延長，或重新申報評估。"),
            ],
        ),
        WarningCode::RenewalDue => (
            None,
            RENEWAL,
            [
                format!("The certificate has to be renewed six months before it ends: apply by {d}."),
                format!("认证证书须在届满前六个月申请续期：请于{d}前提出。"),
                format!("認證證書須在屆滿前六個月申請續期：請於{d}前提出。"),
            ],
        ),
        WarningCode::RenewalLate => (
            None,
            RENEWAL,
            [
                format!("The day to renew the certificate, {d}, has passed: apply now; exports stop when it ends."),
                format!("认证证书续期申请日{d}已过：请立即申请，到期后将停止出境。"),
                format!("認證證書續期申請日{d}已過：請立即申請，到期後將停止出境。"),
            ],
        ),
        WarningCode::ExpirySoon => (
            Some("MECH-DATE"),
            VALIDITY,
            [
                format!("It is in force until {d}; exports under it stop the day after."),
                format!("有效期至{d}，次日起将停止依其出境。"),
                format!("有效期至{d}，次日起將停止依其出境。"),
            ],
        ),
        WarningCode::Expired => (
            Some("MECH-DATE"),
            VALIDITY,
            [
                format!("It ended on {d}; exports under it are denied."),
                format!("已于{d}到期，依其出境将被拒绝。"),
                format!("已於{d}到期，依其出境將被拒絕。"),
            ],
        ),
        WarningCode::ExpiryMissing => (
            Some("MECH-DATE"),
            VALIDITY,
            [
                "An assessment or a certificate without an end date lets nothing leave: add one that states it."
                    .to_owned(),
                "未载明有效期的评估或认证不能作为出境依据：请登记载明有效期的机制。".to_owned(),
                "未載明有效期的評估或認證不能作為出境依據：請登記載明有效期的機制。".to_owned(),
            ],
        ),
    }
}
