//! Names in three scripts: of facts, of the values they take, of those who can help.

use policy::{Fact, Helper, Message};

/// One sentence or phrase in three scripts.
pub(super) fn say(en: impl Into<String>, zh_hant: impl Into<String>, zh_hans: impl Into<String>) -> Message {
    Message { en: en.into(), zh_hans: zh_hans.into(), zh_hant: zh_hant.into() }
}

/// One sentence and the next.
pub(super) fn then(first: &Message, next: &Message) -> Message {
    say(
        format!("{}{}", first.en, next.en),
        format!("{}{}", first.zh_hant, next.zh_hant),
        format!("{}{}", first.zh_hans, next.zh_hans),
    )
}

/// `a, b, c`.
pub(super) fn all_of(words: &[Message]) -> Message {
    let join = |pick: fn(&Message) -> &str, between: &str| words.iter().map(pick).collect::<Vec<_>>().join(between);
    say(join(|it| &it.en, ", "), join(|it| &it.zh_hant, "、"), join(|it| &it.zh_hans, "、"))
}

/// `a, b or c`.
pub(super) fn one_of(words: &[Message]) -> Message {
    match words {
        [first @ .., last] if !first.is_empty() => {
            let first = all_of(first);
            say(
                format!("{} or {}", first.en, last.en),
                format!("{}或{}", first.zh_hant, last.zh_hant),
                format!("{}或{}", first.zh_hans, last.zh_hans),
            )
        }
        words => all_of(words),
    }
}

/// What a fact is called.
pub(super) fn fact(fact: Fact) -> Message {
    match fact {
        Fact::Now => say("today", "今日", "今日"),
        Fact::Purpose => say("the purpose", "使用目的", "使用目的"),
        Fact::Exporter => say("the provider", "提供方", "提供方"),
        Fact::ExporterPlace => say("where the data lie", "數據所在地", "数据所在地"),
        Fact::Ciio => say(
            "whether the provider operates critical information infrastructure",
            "提供方是否關鍵信息基礎設施運營者",
            "提供方是否关键信息基础设施运营者",
        ),
        Fact::PersonsYear => say(
            "people whose information the provider has sent abroad this year, this export included",
            "提供方本年度累計向境外提供個人信息的人數（含本次）",
            "提供方本年度累计向境外提供个人信息的人数（含本次）",
        ),
        Fact::SensitiveYear => say(
            "people whose sensitive information the provider has sent abroad this year, this export included",
            "提供方本年度累計向境外提供敏感個人信息的人數（含本次）",
            "提供方本年度累计向境外提供敏感个人信息的人数（含本次）",
        ),
        Fact::Baseline => say(
            "whether it is on record what the provider sent abroad this year by other ways",
            "提供方本年度經其他途徑出境的人數是否已登記並確認",
            "提供方本年度经其他途径出境的人数是否已登记并确认",
        ),
        Fact::Recipient => say("the recipient", "接收方", "接收方"),
        Fact::RecipientPlace => say("where the recipient is registered", "接收方註冊地", "接收方注册地"),
        Fact::AccessedFrom => say("where the data would be read", "讀取數據的所在地", "读取数据的所在地"),
        Fact::Restricted => {
            say("whether the recipient is on the restricted list", "接收方是否在限制清單上", "接收方是否在限制清单上")
        }
        Fact::ForeignAuthority => say(
            "whether the request serves a foreign court or law-enforcement body",
            "請求是否為境外司法或執法機構調取數據",
            "请求是否为境外司法或执法机构调取数据",
        ),
        Fact::Dataset => say("the dataset", "數據集", "数据集"),
        Fact::Class => say("the class of the dataset", "數據集的分級", "数据集的分级"),
        Fact::ImportantStatus => say(
            "whether an authority has named the dataset important",
            "主管部門是否已告知或公布其為重要數據",
            "主管部门是否已告知或公布其为重要数据",
        ),
        Fact::StateSecret => {
            say("whether the dataset holds a state secret", "數據集是否含有國家秘密", "数据集是否含有国家秘密")
        }
        Fact::ControlledItem => say("whether the data are a controlled item", "是否屬管制物項", "是否属管制物项"),
        Fact::GeneticResource => say(
            "whether the data hold human genetic resource information",
            "是否含人類遺傳資源信息",
            "是否含人类遗传资源信息",
        ),
        Fact::Geospatial => say(
            "whether the data hold survey or precise location data",
            "是否含測繪或精確位置數據",
            "是否含测绘或精确位置数据",
        ),
        Fact::SourceStatement => {
            say("whether the source of the data is stated", "是否已說明數據來源", "是否已说明数据来源")
        }
        Fact::CollectedIn => say("where the data were collected", "數據收集地", "数据收集地"),
        Fact::DomesticIntroduced => say(
            "whether personal information or important data of the mainland was added",
            "處理中是否引入境內個人信息或重要數據",
            "处理中是否引入境内个人信息或重要数据",
        ),
        Fact::Subjects => say("how many people the data are about", "數據涉及的人數", "数据涉及的人数"),
        Fact::ReceivedUnder => say(
            "which way the data came in under the Greater Bay Area contract",
            "數據依大灣區標準合同流入的方向",
            "数据依大湾区标准合同流入的方向",
        ),
        Fact::Persons => say("people in this selection", "所選數據涉及的人數", "所选数据涉及的人数"),
        Fact::Sensitive => say(
            "people in this selection with sensitive information, or under fourteen",
            "所選數據中涉及敏感個人信息或不滿十四周歲的人數",
            "所选数据中涉及敏感个人信息或不满十四周岁的人数",
        ),
        Fact::PersonalColumns => say("selected columns about people", "所選的個人信息欄位", "所选的个人信息列"),
        Fact::SensitiveColumns => say("selected sensitive columns", "所選的敏感欄位", "所选的敏感列"),
        Fact::Licence => say("the export licence", "出口許可證", "出口许可证"),
        Fact::MechanismKind => {
            say("the instrument on file between the two", "雙方備案的出境機制", "双方备案的出境机制")
        }
        Fact::MechanismEffective => say("the first day of the instrument", "機制生效日", "机制生效日"),
        Fact::MechanismFiled => say("the day the contract was filed", "合同備案日", "合同备案日"),
        Fact::MechanismExpires => say("the last day of the instrument", "機制到期日", "机制到期日"),
        Fact::MechanismDatasets => say("datasets that the instrument covers", "機制涵蓋的數據集", "机制涵盖的数据集"),
        Fact::MechanismPurposes => {
            say("purposes that the instrument covers", "機制涵蓋的使用目的", "机制涵盖的使用目的")
        }
        Fact::MechanismPersons => say("people that the assessment approved", "評估批准的人數", "评估批准的人数"),
        Fact::CalendarsMissing => say(
            "official holiday calendars that are needed and not on record here",
            "所需而尚未收錄的法定節假日安排",
            "所需而尚未收录的法定节假日安排",
        ),
        Fact::Notice => say("whether the people were told", "是否已告知個人", "是否已告知个人"),
        Fact::SeparateConsent => say("whether they consented separately", "是否已取得單獨同意", "是否已取得单独同意"),
        Fact::Pipia => {
            say("the reference of the impact assessment", "個人信息保護影響評估編號", "个人信息保护影响评估编号")
        }
        Fact::Exemption => say("the exemption that is claimed", "所主張的豁免情形", "所主张的豁免情形"),
        Fact::Dpp3 => say(
            "whether the purpose is that of collection (DPP3)",
            "使用目的與收集目的是否一致（保障資料第3原則）",
            "使用目的与收集目的是否一致（保障资料第3原则）",
        ),
    }
}

/// A word of a fact's vocabulary as a person says it; `None` for names, places and references.
pub(super) fn value(of: Fact, word: &str) -> Option<Message> {
    Some(match (of, word) {
        (Fact::Ciio, "yes") => say("yes", "是", "是"),
        (Fact::Ciio | Fact::ImportantStatus, "no") => say("no", "否", "否"),
        (Fact::Ciio, "unknown") => say("not declared, which counts as yes", "未聲明（視為是）", "未声明（视为是）"),
        (Fact::Class, "core") => say("core data", "核心數據", "核心数据"),
        (Fact::Class, "important") => say("important data", "重要數據", "重要数据"),
        (Fact::Class, "general") => say("general data", "一般數據", "一般数据"),
        (Fact::ImportantStatus, "notified") => say("yes, by notice", "已告知", "已告知"),
        (Fact::ImportantStatus, "published") => say("yes, in a published list", "已公布", "已公布"),
        (Fact::ImportantStatus, "self_suspected") => {
            say("not yet, but the provider suspects it", "提供方自行識別認為可能", "提供方自行识别认为可能")
        }
        (_, "unknown") => say("not known", "未知", "未知"),
        (Fact::MechanismKind, "gba_sc") => {
            say("a Greater Bay Area standard contract (gba_sc)", "大灣區標準合同（gba_sc）", "大湾区标准合同（gba_sc）")
        }
        (Fact::MechanismKind, "sc") => say("a standard contract (sc)", "標準合同（sc）", "标准合同（sc）"),
        (Fact::MechanismKind, "cert") => {
            say("a certificate (cert)", "個人信息保護認證（cert）", "个人信息保护认证（cert）")
        }
        (Fact::MechanismKind, "sa") => say("a security assessment (sa)", "安全評估（sa）", "安全评估（sa）"),
        (Fact::Exemption, "transit") => say("transit data", "過境數據", "过境数据"),
        (Fact::Exemption, "individual-contract") => {
            say("a contract with the individual", "個人作為一方的合同", "个人作为一方的合同")
        }
        (Fact::Exemption, "hr") => say("personnel management", "人力資源管理", "人力资源管理"),
        (Fact::Exemption, "emergency") => say("an emergency", "緊急情況", "紧急情况"),
        (Fact::Dpp3, "same-purpose") => say("the same purpose", "目的相同", "目的相同"),
        (Fact::Dpp3, "consented") => say("the people consented", "已取得同意", "已取得同意"),
        (Fact::Dpp3, "research-exempt") => say("exempt for research", "研究豁免", "研究豁免"),
        (Fact::Dpp3, "new-purpose") => say("a new purpose", "新目的", "新目的"),
        _ => return None,
    })
}

/// Somebody who can help, with the participant's id where it is known.
pub(super) fn helper(who: Helper, participant: Option<&str>) -> Message {
    let (en, hant, hans) = match who {
        Helper::Consumer => ("you", "您", "您"),
        Helper::Provider => ("the provider", "提供方", "提供方"),
        Helper::RecipientOfficer => ("the compliance officer of the recipient", "接收方的合規人員", "接收方的合规人员"),
        Helper::Authority => ("a compliance officer of an authority", "主管機構的合規人員", "主管机构的合规人员"),
        Helper::Operator => ("the operator of the gateway", "閘道的運維人員", "网关的运维人员"),
        Helper::RuleOwner => ("the institution that set this rule", "訂立該規則的機構", "制定该规则的机构"),
        Helper::Nobody => ("nobody: the law gives no way", "無人可以協助：法律不留餘地", "无人可以协助：法律未留余地"),
    };
    match participant {
        Some(id) if who != Helper::Consumer => {
            say(format!("{en} ({id})"), format!("{hant}（{id}）"), format!("{hans}（{id}）"))
        }
        _ => say(en, hant, hans),
    }
}
