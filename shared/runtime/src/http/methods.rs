//! Which methods an address takes, for the answer to a request with another one.
//!
//! The macros of actix-web guard a whole resource by its method, so to the router an address with another method is as
//! good as none. What it can still tell is the pattern of the address; the methods come from the API description.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::OpenApi;

/// The methods of each route, by the pattern of its address; [`super::configure`] finds them as `Data<Methods>`.
#[derive(Debug, Clone, Default)]
pub struct Methods(BTreeMap<String, BTreeSet<&'static str>>);

impl Methods {
    /// Those of an API description.
    pub fn of(api: &OpenApi) -> Self {
        let mut methods = Self::default();
        for (path, item) in &api.paths.paths {
            let operations = [
                ("DELETE", &item.delete),
                ("GET", &item.get),
                ("PATCH", &item.patch),
                ("POST", &item.post),
                ("PUT", &item.put),
            ];
            for (method, _) in operations.iter().filter(|(_, operation)| operation.is_some()) {
                methods.add(path, method);
            }
        }
        methods
    }

    /// These and those of routes that stand in no description, each with its one method.
    #[must_use]
    pub fn and(mut self, routes: &[(&str, &'static str)]) -> Self {
        for (path, method) in routes {
            self.add(path, method);
        }
        self
    }

    fn add(&mut self, path: &str, method: &'static str) {
        let methods = self.0.entry(shape(path)).or_default();
        methods.insert(method);
        if method == "GET" {
            methods.insert("HEAD");
        }
    }

    /// The `Allow` header (RFC 9110 section 10.2.1) of a pattern's addresses; `None` for a pattern that is not known.
    pub(super) fn allow(&self, pattern: &str) -> Option<String> {
        let methods = self.0.get(&shape(pattern))?;
        Some(methods.iter().copied().collect::<Vec<_>>().join(", "))
    }
}

/// A pattern without the names of its parameters and the expressions that they match, which a description leaves out.
fn shape(pattern: &str) -> String {
    let mut shape = String::with_capacity(pattern.len());
    let mut depth = 0_usize;
    for character in pattern.chars() {
        match character {
            '{' => {
                depth += 1;
                shape.push_str(if depth == 1 { "{}" } else { "" });
            }
            '}' => depth = depth.saturating_sub(1),
            other if depth == 0 => shape.push(other),
            _ => {}
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_expressions_of_parameters_make_no_difference() {
        assert_eq!(shape("/v1/trials/{trial}/events/{trialseq}"), "/v1/trials/{}/events/{}");
        assert_eq!(shape("/log/{path:.*}"), shape("/log/{path}"));
        assert_eq!(shape("/log/{path:[a-z]{2}}/x"), "/log/{}/x");
    }

    #[test]
    fn whoever_takes_get_takes_head() {
        let methods = Methods::default().and(&[("/a", "GET"), ("/a", "POST"), ("/b/{id}", "DELETE")]);
        assert_eq!(methods.allow("/a").as_deref(), Some("GET, HEAD, POST"));
        assert_eq!(methods.allow("/b/{other}").as_deref(), Some("DELETE"));
        assert_eq!(methods.allow("/c"), None);
    }
}
