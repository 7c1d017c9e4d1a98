/// The value of `Link` that has a browser ask the API at once for what a view asks first, and not
/// only when it has loaded the scripts that do. Each address is written as the page writes it, or
/// it would be asked for twice. `is_known`: it is known who the caller is; before a login only that
/// is asked.
#[must_use]
pub fn preload(path: &str, query: &str, is_known: bool) -> String {
    let top = if path.matches('/').count() > 1 { "../" } else { "./" };
    let job = path.strip_prefix("/jobs/").and_then(|id| id.parse::<u64>().ok());
    let mut wanted = vec!["session".to_owned()];
    match job {
        _ if !is_known => {}
        Some(id) => wanted.extend(["", "/ancestors", "/task"].map(|of| format!("jobs/{id}{of}"))),
        // What a filter of the trees means is known to the page alone.
        None if path == "/" && query.is_empty() => {
            wanted.push("roots?limit=100&fields=row".to_owned());
        }
        None => {}
    }
    let link = |at| format!("<{top}api/v1/{at}>; rel=preload; as=fetch; crossorigin");
    wanted.into_iter().map(link).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_session_is_asked_for_where_no_more_is_known() {
        for (path, query, is_known) in [
            ("/", "", false),
            ("/", "q=nightly", true),
            ("/jobs/7", "", false),
            ("/jobs/7>;rel=x", "", true),
            ("/tokens", "", true),
        ] {
            let link = preload(path, query, is_known);
            assert_eq!(link.matches("rel=").count(), 1, "{path}");
            assert!(link.contains("/session>;"), "{link}");
        }
        assert!(preload("/jobs/7", "view=log", true).contains("<../api/v1/jobs/7/task>;"));
    }
}
