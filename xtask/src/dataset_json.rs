//! Writes CDISC Dataset-JSON 1.1, cell by cell, so that each number keeps the digits it is given.

use std::io::{self, Write};

use serde_json::{Value, json};

/// A column: its name, what it holds, and its Dataset-JSON data type.
pub(crate) type Column = (&'static str, &'static str, &'static str);

/// A dataset to be written.
pub(crate) struct Dataset {
    pub(crate) study: &'static str,
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) records: u64,
}

impl Dataset {
    /// Writes the file. Each cell of a row is a JSON text, in the order of the columns.
    pub(crate) fn write<R, C>(&self, out: &mut impl Write, rows: R) -> io::Result<()>
    where
        R: IntoIterator<Item = C>,
        C: AsRef<[String]>,
    {
        let mut head = self.metadata().to_string();
        head.truncate(head.len() - 1);
        write!(out, "{head},\"rows\":[")?;
        for (index, row) in rows.into_iter().enumerate() {
            let separator = if index == 0 { "\n" } else { ",\n" };
            write!(out, "{separator}[{}]", row.as_ref().join(","))?;
        }
        writeln!(out, "\n]}}")
    }

    /// The file as text, for small ones.
    pub(crate) fn to_text<R, C>(&self, rows: R) -> String
    where
        R: IntoIterator<Item = C>,
        C: AsRef<[String]>,
    {
        let mut file = Vec::new();
        // Writing into memory cannot fail, and what is written is text.
        let _ = self.write(&mut file, rows);
        String::from_utf8_lossy(&file).into_owned()
    }

    fn metadata(&self) -> Value {
        let name = self.name;
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|(column, label, kind)| {
                json!({"itemOID": format!("IT.{name}.{column}"), "name": column, "label": label, "dataType": kind})
            })
            .collect();
        json!({
            "datasetJSONCreationDateTime": "2025-12-01T08:00:00",
            "datasetJSONVersion": "1.1.0",
            "fileOID": format!("urn:trialseal:generated:{}:{name}", self.study),
            "originator": "Demo Central Laboratory",
            "sourceSystem": {"name": "trialseal xtask", "version": env!("CARGO_PKG_VERSION")},
            "studyOID": self.study,
            "metaDataVersionOID": "MDV.1",
            "itemGroupOID": format!("IG.{name}"),
            "records": self.records,
            "name": name,
            "label": self.label,
            "columns": columns,
        })
    }
}

/// A text as a JSON cell.
pub(crate) fn text(value: &str) -> String {
    Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_rows_and_keeps_the_digits() {
        let columns: &[Column] = &[("USUBJID", "Subject", "string"), ("LBSTRESN", "Result", "double")];
        let dataset = Dataset { study: "S", name: "LB", label: "Laboratory", columns, records: 2 };
        let rows = [[text("a \"b\""), "38.0".to_owned()], [text("c"), "null".to_owned()]];
        let file = dataset.to_text(rows);
        assert!(file.contains("[\"a \\\"b\\\"\",38.0],\n[\"c\",null]"));
        let value: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(value["records"], 2);
        assert_eq!(value["rows"].as_array().unwrap().len(), 2);
        assert_eq!(value["columns"][1]["itemOID"], "IT.LB.LBSTRESN");
    }
}
