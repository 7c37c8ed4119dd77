//! The language of decision messages: `--lang`, else the locale.

use serde_json::Value;

use crate::io::Environment;

/// One of the three languages in which rules speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// English.
    #[value(name = "en")]
    English,
    /// 繁體中文.
    #[value(name = "zh-Hant", alias = "zh-hant", alias = "zh-HK", alias = "zh-TW")]
    Traditional,
    /// 简体中文.
    #[value(name = "zh-Hans", alias = "zh-hans", alias = "zh-CN")]
    Simplified,
}

impl Lang {
    /// The member of a localised object.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Traditional => "zh-Hant",
            Self::Simplified => "zh-Hans",
        }
    }

    /// The language of a POSIX locale name such as `zh_HK.UTF-8`.
    pub fn of_locale(locale: &str) -> Self {
        let name = locale.split(['.', '@']).next().unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        if !name.starts_with("zh") {
            return Self::English;
        }
        let traditional = ["hant", "hk", "tw", "mo"].iter().any(|part| name.split('-').any(|word| word == *part));
        if traditional { Self::Traditional } else { Self::Simplified }
    }

    /// The flag, else `LC_ALL`, `LC_MESSAGES`, `LANG`, else English.
    pub fn choose(flag: Option<Self>, env: &dyn Environment) -> Self {
        let locale = || ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| env.var(name)?.into_string().ok());
        flag.unwrap_or_else(|| locale().map_or(Self::English, |locale| Self::of_locale(&locale)))
    }

    /// The text of a localised object in this language, else in English, else in any.
    pub fn text(self, localised: &Value) -> &str {
        let of = |tag: &str| localised.get(tag).and_then(Value::as_str).filter(|text| !text.is_empty());
        of(self.tag())
            .or_else(|| of("en"))
            .or_else(|| localised.as_object()?.values().find_map(Value::as_str))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn locales_and_flags() {
        for (locale, lang) in [
            ("en_GB.UTF-8", Lang::English),
            ("C", Lang::English),
            ("zh_HK.UTF-8", Lang::Traditional),
            ("zh_TW", Lang::Traditional),
            ("zh-Hant-HK", Lang::Traditional),
            ("zh_CN.UTF-8", Lang::Simplified),
            ("zh", Lang::Simplified),
        ] {
            assert_eq!(Lang::of_locale(locale), lang, "{locale}");
        }
        let env = [("LANG", "en_US".to_owned()), ("LC_ALL", "zh_HK".to_owned())];
        assert_eq!(Lang::choose(None, &env), Lang::Traditional);
        assert_eq!(Lang::choose(Some(Lang::Simplified), &env), Lang::Simplified);
    }

    #[test]
    fn a_missing_language_falls_back_to_english() {
        let text = json!({"en": "no", "zh-Hant": "否"});
        assert_eq!(Lang::Traditional.text(&text), "否");
        assert_eq!(Lang::Simplified.text(&text), "no");
        assert_eq!(Lang::English.text(&json!({})), "");
    }
}
