//! Lists page by page: a page begins after the last element of the one before, by its name. What is made or deleted between
//! two pages is in the list or not, but all else is in it exactly once.

use tonic::Status;

use super::fault;

/// Elements of a page, at most.
const LONGEST: u32 = 1000;

/// Which page is asked for.
#[derive(Debug)]
pub(super) struct Page {
    size: usize,
    /// Whose it is and its name.
    after: Option<(String, String)>,
}

impl Page {
    /// Shape of a token: the pool, `/`, and the name of the last element; opaque to clients.
    pub(super) fn of(size: u32, token: &str) -> Result<Self, Status> {
        let size = if size == 0 { usize::MAX } else { size.min(LONGEST) as usize };
        let after = Some(token).filter(|token| !token.is_empty()).map(|token| {
            let parts = token.split_once('/').map(|(pool, name)| (pool.to_owned(), name.to_owned()));
            parts.ok_or_else(|| {
                fault::invalid("page_token", "page_token must be a next_page_token of this list")
            })
        });
        Ok(Self { size, after: after.transpose()? })
    }

    /// The element that the page begins after: whose it is, and its name.
    pub(super) fn after(&self) -> Option<(&str, &str)> {
        self.after.as_ref().map(|(pool, name)| (pool.as_str(), name.as_str()))
    }

    /// The page of a list that is sorted by `key` and the token for the next one; empty if there is none.
    pub(super) fn cut<T>(&self, sorted: Vec<T>, key: impl Fn(&T) -> (&str, &str)) -> (Vec<T>, String) {
        let rest = sorted.into_iter().filter(|element| self.after().is_none_or(|after| key(element) > after));
        self.first(rest, |element| {
            let (pool, name) = key(element);
            format!("{pool}/{name}")
        })
    }

    /// As many elements as the page may have, and the token for the next one.
    pub(super) fn first<T>(
        &self,
        rest: impl Iterator<Item = T>,
        token: impl Fn(&T) -> String,
    ) -> (Vec<T>, String) {
        let mut page: Vec<T> = rest.take(self.size.saturating_add(1)).collect();
        let is_last = page.len() <= self.size;
        page.truncate(self.size);
        let next = page.last().filter(|_| !is_last).map(token);
        (page, next.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_the_list_each_element_once() {
        let all: Vec<String> = (0..25).map(|n| format!("n{n:02}")).collect();
        for size in [0, 1, 7, 24, 25, 26, 5000] {
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = Page::of(size, &token).unwrap();
                let (elements, next) = page.cut(all.clone(), |name| ("p", name));
                assert!(size == 0 || elements.len() <= size as usize);
                seen.extend(elements);
                token = next;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, all, "{size}");
        }
        assert!(Page::of(1, "nonsense").is_err());
    }
}
