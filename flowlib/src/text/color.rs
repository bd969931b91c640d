//! The colours of text, and how a user says that others are wanted.

use super::printer::Role;

/// An escape sequence for each role of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colors([String; N_ROLES]);

const N_ROLES: usize = 7;

/// Short names and codes, in the order of [`Role`]. Source: ovs-ofctl(8), `--color`.
const CODES: [(&str, &str); N_ROLES] =
    [("ac", "1;31"), ("dr", "34"), ("le", "31"), ("pm", "36"), ("pr", "35"), ("sp", "33"), ("vl", "32")];

impl Default for Colors {
    fn default() -> Self {
        Self(CODES.map(|(_, code)| sequence(code)))
    }
}

impl Colors {
    /// Those that a text as `ac=1;31:pm=36` names, and the usual ones for what it does not. What cannot be read of it
    /// is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut colors = Self::default();
        for (name, code) in text.split(':').filter_map(|part| part.split_once('=')) {
            let at = CODES.iter().position(|(known, _)| *known == name);
            if let Some(sequence_of_role) = at.and_then(|at| colors.0.get_mut(at))
                && code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';')
            {
                *sequence_of_role = sequence(code);
            }
        }
        colors
    }

    /// What begins a piece of that role.
    #[inline]
    pub(super) fn start(&self, role: Role) -> &str {
        &self.0[role as usize]
    }
}

fn sequence(code: &str) -> String {
    format!("\x1b[{code}m\x1b[K")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_changes_the_colours_that_it_names() {
        let colors = Colors::parse("sp=4;1:ac=:pm=x:zz=1:vl:dr=5:dr=6:");
        for (role, start) in [
            (Role::Special, "\x1b[4;1m\x1b[K"),
            (Role::Actions, "\x1b[m\x1b[K"),
            (Role::Param, "\x1b[36m\x1b[K"),
            (Role::Value, "\x1b[32m\x1b[K"),
            (Role::Drop, "\x1b[6m\x1b[K"),
        ] {
            assert_eq!(colors.start(role), start, "{role:?}");
        }
        assert_eq!(Colors::parse(""), Colors::default());
    }
}
