//! A manifest that tests of several modules change to their needs.

/// One sensitive column, one offer, nothing unusual.
pub(crate) const PLAIN: &str = r#"[dataset]
id = "input"
version = "1"
title = { en = "Input" }
licence = "CC-BY-4.0"
source_statement = "made up"
collected_in = ["CN"]
place = "CN-440300"
columns_default = "none"
class = "general"
important_status = "no"
controlled_item = false
genetic_resource = false
geospatial = false
state_secret = false
subjects = { persons = 100, sensitive = 10, under_14 = 0 }
[columns.id_no]
class = "sensitive"
[offer]
purposes = ["academic-research"]
recipients = ["hku.hk", "lab.hk"]
places = ["HK", "CN"]
price = { model = "free" }
[compliance]
notice = true
"#;
