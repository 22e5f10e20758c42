//! What people are told: a template for each audience, which sees the record's columns and the file.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, Error, UndefinedBehavior, Value, context};
use serde_json::Value as Json;

use super::{FlagError, Mark};

/// `[[notice]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whom it is for: a name of the operator's.
    pub audience: String,
    /// The template.
    pub text: String,
    /// Only of records of this table.
    pub table: Option<String>,
    /// Only of attachments of this name.
    pub attachment: Option<String>,
}

impl Notice {
    fn concerns(&self, mark: &Mark) -> bool {
        let table = |name: &String| mark.table.is_meant_by(name);
        self.table.as_ref().is_none_or(table)
            && self
                .attachment
                .as_ref()
                .is_none_or(|a| *a == mark.attachment)
    }
}

/// All of them, ready to be rendered.
pub struct Notices {
    templates: Environment<'static>,
    notices: Vec<Notice>,
}

impl Notices {
    /// Errors: `Template` for one that is none.
    pub fn new(notices: &[Notice]) -> Result<Self, FlagError> {
        let mut templates = Environment::new();
        // A misspelt name must not become an empty notice.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for (i, notice) in notices.iter().enumerate() {
            let added = templates.add_template_owned(i.to_string(), notice.text.clone());
            added.map_err(|e| FlagError::Template {
                entry: i + 1,
                audience: notice.audience.clone(),
                cause: said(&e),
            })?;
        }
        Ok(Self {
            templates,
            notices: notices.to_vec(),
        })
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// What each audience is told of a mark on `record`, whose columns are an object. Of several notices for an audience, the first
    /// that concerns the record and the attachment counts.
    ///
    /// Errors: `Notice`, naming what a template may use.
    pub fn render(
        &self,
        mark: &Mark,
        record: &Json,
    ) -> Result<BTreeMap<String, String>, FlagError> {
        let mut said_to = BTreeMap::new();
        let sees = sees(mark, record);
        for (i, notice) in self.notices.iter().enumerate() {
            if said_to.contains_key(&notice.audience) || !notice.concerns(mark) {
                continue;
            }
            let rendered = self.templates.get_template(&i.to_string());
            let rendered = rendered.and_then(|t| t.render(&sees));
            let text = rendered.map_err(|e| FlagError::Notice {
                entry: i + 1,
                audience: notice.audience.clone(),
                record: mark.record(),
                cause: said(&e),
                known: known(&sees),
            })?;
            said_to.insert(notice.audience.clone(), text);
        }
        Ok(said_to)
    }
}

/// What a template sees: the record's columns, by name and under `record`; the file under `file`, and by name what no column is called.
fn sees(mark: &Mark, record: &Json) -> BTreeMap<String, Value> {
    let file = context! {
        name => &mark.filename,
        size => mark.size,
        content_type => &mark.content_type,
        key => &mark.blob_key,
        state => mark.state.name(),
    };
    let mut sees = BTreeMap::from([
        ("filename".to_owned(), Value::from(mark.filename.clone())),
        (
            "attachment".to_owned(),
            Value::from(mark.attachment.clone()),
        ),
        ("table".to_owned(), Value::from(mark.table.name.clone())),
        ("key".to_owned(), Value::from(mark.key.to_string())),
    ]);
    if let Json::Object(columns) = record {
        sees.extend(
            columns
                .iter()
                .map(|(k, v)| (k.clone(), Value::from(Serde(v)))),
        );
    }
    sees.insert("record".to_owned(), Value::from(Serde(record)));
    sees.insert("file".to_owned(), file);
    sees
}

fn known(sees: &BTreeMap<String, Value>) -> Vec<String> {
    let of_file = ["name", "size", "content_type", "key", "state"].map(|f| format!("file.{f}"));
    let names = sees.keys().filter(|k| *k != "file");
    names.cloned().chain(of_file).collect()
}

/// The cause and its line, without the template itself.
fn said(error: &Error) -> String {
    let kind = error.kind().to_string();
    let what = error.detail().unwrap_or(&kind);
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::blobs::State;
    use crate::ident::{Key, TableName};

    fn mark() -> Mark {
        Mark {
            table: TableName::new("public", "dossiers"),
            key: Key(vec!["7".into()]),
            attachment: "piece".into(),
            blob_key: "k7".into(),
            filename: Some("plan.pdf".into()),
            content_type: None,
            size: Some(12),
            state: State::Lost,
        }
    }

    fn notice(audience: &str, text: &str) -> Notice {
        Notice {
            audience: audience.into(),
            text: text.into(),
            table: None,
            attachment: None,
        }
    }

    #[test]
    fn a_text_depends_on_the_record() {
        let text = "{% if state == 'draft' %}Please attach {{ filename }} again.{% else %}{{ filename }} ({{ file.state }}) was lost.{% endif %}";
        let notices = Notices::new(&[notice("owner", text)]).unwrap();
        let of = |state: &str| {
            notices.render(&mark(), &json!({"state": state})).unwrap()["owner"].clone()
        };
        assert_eq!(of("draft"), "Please attach plan.pdf again.");
        assert_eq!(of("closed"), "plan.pdf (lost) was lost.");
    }

    #[test]
    fn the_first_that_concerns_it_counts() {
        let only = |table: &str| Notice {
            table: Some(table.into()),
            ..notice("owner", table)
        };
        let all = [
            only("champs"),
            only("dossiers"),
            notice("owner", "any"),
            notice("official", "any"),
        ];
        let said = Notices::new(&all)
            .unwrap()
            .render(&mark(), &json!({}))
            .unwrap();
        assert_eq!(
            (said["owner"].as_str(), said["official"].as_str()),
            ("dossiers", "any")
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let wrong = Notices::new(&[notice("owner", "fine\n{% if %}")]).map(|_| ());
        let wrong = wrong.unwrap_err().to_string();
        assert!(
            wrong.starts_with("[[notice]] 1 (for owner): line 2: "),
            "{wrong}"
        );
        let notices = Notices::new(&[notice("owner", "\n{{ stat }}")]).unwrap();
        let wrong = notices
            .render(&mark(), &json!({"state": "x"}))
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("of public.dossiers 7: line 2: ") && wrong.contains("state"),
            "{wrong}"
        );
    }
}
