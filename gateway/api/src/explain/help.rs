//! A remedy in words: what to do, who does it, and with which command.

use policy::{Decision, Facts, Helper, Message, Precondition, Remedy};
use serde::{Deserialize, Serialize};

use super::say::number;
use super::words::{self, say};
use super::{Viewer, Who};

/// How one remedy is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {
    /// The remedy's kind.
    pub kind: String,
    /// Who carries it out.
    pub who: Vec<Who>,
    /// What to do.
    pub text: Message,
    /// The commands, in this order; words in capitals are to be filled in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Of `all-of`: every step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Self>,
}

/// Columns named in a command; beyond them the command says `--redact`.
const COLUMNS_NAMED_MAX: usize = 16;

/// What a provider does to change what a version declares: versions never change, so it is a new one.
const NEW_VERSION: &str = "kouan dataset register MANIFEST --data PATH";

impl Help {
    pub(super) fn with(remedy: &Remedy, facts: &Facts, decision: &Decision, viewer: Viewer) -> Self {
        let (who, text, commands) = parts(remedy, facts, decision, viewer);
        let steps = match remedy {
            Remedy::AllOf { steps } => steps.iter().map(|step| Self::with(step, facts, decision, viewer)).collect(),
            _ => Vec::new(),
        };
        Self {
            kind: kind(remedy).to_owned(),
            who: who.iter().map(|who| Who::new(*who, facts)).collect(),
            text,
            commands,
            steps,
        }
    }

    /// How to ask an authority's officer for a release.
    pub(super) fn review(facts: &Facts) -> Self {
        let given = facts.gathered();
        let names: Vec<&str> = facts.selected().map(|column| column.name.as_str()).collect();
        let part = names.len() < given.dataset.columns.len() && names.len() <= COLUMNS_NAMED_MAX;
        let columns = if part { format!(" --columns {}", word(&names.join(","))) } else { String::new() };
        let command = format!(
            "kouan review request {}@{}{columns} --purpose {}",
            given.dataset.id,
            given.dataset.version,
            word(&given.purpose)
        );
        Self {
            kind: "review".to_owned(),
            who: [Helper::Consumer, Helper::Authority].map(|who| Who::new(who, facts)).to_vec(),
            text: say(
                "Ask for a review: an authority's officer reads the facts, and releases or refuses it with a reason.",
                "申請審查：由主管機構的合規人員查閱事實，並說明理由予以放行或拒絕。",
                "申请审查：由主管机构的合规人员查阅事实，并说明理由予以放行或拒绝。",
            ),
            commands: vec![command],
            steps: Vec::new(),
        }
    }
}

/// The wire word of a remedy.
const fn kind(remedy: &Remedy) -> &'static str {
    match remedy {
        Remedy::DropColumns { .. } => "drop-columns",
        Remedy::AttachMechanism { .. } => "attach-mechanism",
        Remedy::RecordFiling { .. } => "record-filing",
        Remedy::AddPrecondition { .. } => "add-precondition",
        Remedy::NameLicence => "name-licence",
        Remedy::StateSource => "state-source",
        Remedy::RecordBaseline => "record-baseline",
        Remedy::DeclareSubjects { .. } => "declare-subjects",
        Remedy::DeclareClass { .. } => "declare-class",
        Remedy::DeclareCiio { .. } => "declare-ciio",
        Remedy::AnswerDpp3 { .. } => "answer-dpp3",
        Remedy::ReadFrom { .. } => "read-from",
        Remedy::AllOf { .. } => "all-of",
    }
}

type Parts = (&'static [Helper], Message, Vec<String>);

fn parts(remedy: &Remedy, facts: &Facts, decision: &Decision, viewer: Viewer) -> Parts {
    const PROVIDER: &[Helper] = &[Helper::Provider];
    const BOTH: &[Helper] = &[Helper::Provider, Helper::RecipientOfficer, Helper::Authority];
    let given = facts.gathered();
    let (exporter, recipient) = (given.exporter.id.as_str(), given.recipient.id.as_str());
    let register = || vec![NEW_VERSION.to_owned()];
    match remedy {
        Remedy::DropColumns { columns } => drop_columns(columns, facts, decision),
        Remedy::AttachMechanism { any_of } => {
            let kinds = words::one_of(&words_of(policy::Fact::MechanismKind, any_of.iter().map(|kind| kind.as_str())));
            let text = say(
                format!(
                    "Put {} on file between {exporter} and {recipient}: in force, naming this dataset and purpose, \
                         filed in time. It counts once an officer of an authority has confirmed it.",
                    kinds.en
                ),
                format!(
                    "為 {exporter} 與 {recipient} 備案{}：須在有效期內、涵蓋本數據集及使用目的，並按期備案；經主管機構的合規人員確認後生效。",
                    kinds.zh_hant
                ),
                format!(
                    "为 {exporter} 与 {recipient} 备案{}：须在有效期内、涵盖本数据集及使用目的，并按期备案；经主管机构的合规人员确认后生效。",
                    kinds.zh_hans
                ),
            );
            let kind = any_of.first().map_or("KIND", |kind| kind.as_str());
            (BOTH, text, vec![mechanism(facts, kind), "kouan mechanism confirm ID".to_owned()])
        }
        Remedy::RecordFiling { filed_by } => {
            let text = say(
                format!(
                    "If the contract was filed by {filed_by}, record the day of filing; an officer of an authority confirms it."
                ),
                format!("若合同已於 {filed_by} 或之前備案，請登記備案日，並由主管機構的合規人員確認。"),
                format!("若合同已于 {filed_by} 或之前备案，请登记备案日，并由主管机构的合规人员确认。"),
            );
            let commands = vec![
                "kouan mechanism list".to_owned(),
                "kouan mechanism filed ID --filed DATE".to_owned(),
                "kouan mechanism confirm ID".to_owned(),
            ];
            (BOTH, text, commands)
        }
        Remedy::AddPrecondition { missing } => (PROVIDER, preconditions(missing), register()),
        Remedy::NameLicence => (
            PROVIDER,
            manifest(
                ("Name the export licence", "填寫出口許可證", "填写出口许可证"),
                "[compliance] export_licence = \"REFERENCE\"",
            ),
            register(),
        ),
        Remedy::StateSource => (
            PROVIDER,
            manifest(
                ("State where the data come from", "說明數據來源", "说明数据来源"),
                "[dataset] source_statement = \"TEXT\"",
            ),
            register(),
        ),
        Remedy::RecordBaseline => {
            let text = say(
                "Declare what was sent abroad this year by other ways; an officer of an authority confirms the numbers.",
                "申報本年度經其他途徑出境的人數，並由主管機構的合規人員確認。",
                "申报本年度经其他途径出境的人数，并由主管机构的合规人员确认。",
            );
            let year = given.now.today().year();
            let command = format!("kouan participant confirm-baseline {exporter} --year {year}");
            (&[Helper::Provider, Helper::Operator, Helper::Authority], text, vec![command])
        }
        Remedy::DeclareSubjects { at_most } => {
            let line = "[dataset] subjects = { persons = N, sensitive = N, under_14 = N }";
            let mut text = manifest(
                ("Give the number of people the data are about", "申報數據涉及的人數", "申报数据涉及的人数"),
                line,
            );
            if viewer != Viewer::Consumer {
                let [persons, sensitive, young] = [at_most.persons, at_most.sensitive, at_most.under_14].map(number);
                text = words::then(
                    &text,
                    &say(
                        format!(
                            " It helps up to {persons} people, {sensitive} with sensitive information, {young} under fourteen."
                        ),
                        format!(
                            "不超過 {persons} 人、其中敏感個人信息 {sensitive} 人、不滿十四周歲 {young} 人時可放行。"
                        ),
                        format!(
                            "不超过 {persons} 人、其中敏感个人信息 {sensitive} 人、不满十四周岁 {young} 人时可放行。"
                        ),
                    ),
                );
            }
            (PROVIDER, text, register())
        }
        Remedy::DeclareClass { class, important_status } => {
            let line = format!("[dataset] class = \"{class}\"; important_status = \"{important_status}\"");
            (
                &[Helper::Provider, Helper::Authority],
                manifest(
                    (
                        "Have the dataset classified; if it is so, declare it",
                        "先確定數據集的分級，如屬實則申報",
                        "先确定数据集的分级，如属实则申报",
                    ),
                    &line,
                ),
                register(),
            )
        }
        Remedy::DeclareCiio { .. } => (
            &[Helper::Provider, Helper::Operator],
            say(
                format!("If {exporter} operates no critical information infrastructure, have its record say so."),
                format!("若 {exporter} 不是關鍵信息基礎設施運營者，請在其參與方記錄中聲明。"),
                format!("若 {exporter} 不是关键信息基础设施运营者，请在其参与方记录中声明。"),
            ),
            Vec::new(),
        ),
        Remedy::AnswerDpp3 { any_of } => {
            let answers = words::all_of(&words_of(policy::Fact::Dpp3, any_of.iter().map(|answer| answer.as_str())));
            let line = format!("[compliance] dpp3 = \"{}\"", any_of.first().map_or("", |answer| answer.as_str()));
            let mut text = manifest(("Answer the purpose test", "回答使用目的問題", "回答使用目的问题"), &line);
            text = words::then(
                &text,
                &say(
                    format!(" Any of these will do, if it is true: {}.", answers.en),
                    format!("如屬實，以下任一即可：{}。", answers.zh_hant),
                    format!("如属实，以下任一即可：{}。", answers.zh_hans),
                ),
            );
            (PROVIDER, text, register())
        }
        Remedy::ReadFrom { place } => (
            &[Helper::Consumer, Helper::RecipientOfficer, Helper::Operator],
            say(
                format!("Read from {place}, or have the operator register the address range you read from."),
                format!("改從 {place} 讀取，或請運維人員登記您的訪問地址段。"),
                format!("改从 {place} 读取，或请运维人员登记您的访问地址段。"),
            ),
            Vec::new(),
        ),
        Remedy::AllOf { .. } => (
            &[],
            say(
                "All of these together; one alone is not enough.",
                "以下各項須一併辦理，缺一不可。",
                "以下各项须一并办理，缺一不可。",
            ),
            Vec::new(),
        ),
    }
}

fn drop_columns(columns: &[String], facts: &Facts, decision: &Decision) -> Parts {
    let names = words::all_of(&words_of(policy::Fact::SensitiveColumns, columns.iter().map(String::as_str)));
    let text = say(
        format!("Leave out {}. The other {} columns may leave now.", names.en, decision.columns_allowed.len()),
        format!("不要 {}，其餘 {} 欄現在即可放行。", names.zh_hant, decision.columns_allowed.len()),
        format!("不要 {}，其余 {} 列现在即可放行。", names.zh_hans, decision.columns_allowed.len()),
    );
    let given = facts.gathered();
    let whole = facts.selected().count() == given.dataset.columns.len();
    let columns = if whole || decision.columns_allowed.len() > COLUMNS_NAMED_MAX {
        String::new()
    } else {
        format!(" --columns {}", word(&decision.columns_allowed.join(",")))
    };
    let redact = if columns.is_empty() { " --redact" } else { "" };
    let (dataset, version, purpose) = (&given.dataset.id, &given.dataset.version, &given.purpose);
    (
        &[Helper::Consumer],
        text,
        vec![format!("kouan pull {dataset}@{version}{columns}{redact} --purpose {}", word(purpose))],
    )
}

fn mechanism(facts: &Facts, kind: &str) -> String {
    let given = facts.gathered();
    format!(
        "kouan mechanism add --kind {kind} --reference REFERENCE --exporter {} --recipient {} --effective DATE \
         --filed DATE --dataset {} --purpose {}",
        word(&given.exporter.id),
        word(&given.recipient.id),
        word(&given.dataset.id),
        word(&given.purpose)
    )
}

fn preconditions(missing: &[Precondition]) -> Message {
    let part = |precondition: &Precondition| match precondition {
        Precondition::Notice => (say("tell the people", "告知個人", "告知个人"), "notice = true"),
        Precondition::SeparateConsent => {
            (say("obtain their separate consent", "取得單獨同意", "取得单独同意"), "separate_consent = true")
        }
        Precondition::Pipia => (
            say("make an impact assessment", "完成個人信息保護影響評估", "完成个人信息保护影响评估"),
            "pipia = \"REFERENCE\"",
        ),
    };
    let parts: Vec<(Message, &str)> = missing.iter().map(part).collect();
    let lines: Vec<&str> = parts.iter().map(|(_, line)| *line).collect();
    let line = format!("[compliance] {}", lines.join("; "));
    let join = |pick: fn(&Message) -> &str, between: &str| {
        parts.iter().map(|(text, _)| pick(text)).collect::<Vec<_>>().join(between)
    };
    let (en, hant, hans) = (join(|it| &it.en, ", "), join(|it| &it.zh_hant, "、"), join(|it| &it.zh_hans, "、"));
    let mut first = en.chars();
    let en: String = first.next().into_iter().flat_map(char::to_uppercase).chain(first).collect();
    manifest((&en, &hant, &hans), &line)
}

/// Something that the manifest of a new version says.
fn manifest((en, hant, hans): (&str, &str, &str), line: &str) -> Message {
    say(
        format!("{en}; then register a new version whose manifest says: {line}."),
        format!("{hant}；然後註冊新版本，並在清單中寫明：{line}。"),
        format!("{hans}；然后注册新版本，并在清单中写明：{line}。"),
    )
}

fn words_of<'a>(fact: policy::Fact, items: impl Iterator<Item = &'a str>) -> Vec<Message> {
    items.map(|item| words::value(fact, item).unwrap_or_else(|| say(item, item, item))).collect()
}

/// A word that a POSIX shell reads back as it is.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,:@%+=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
