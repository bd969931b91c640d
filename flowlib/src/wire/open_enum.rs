//! Code points that keep what they do not know.

/// Declares a newtype over an integer with named values. A value without a name is kept, printed in hex and
/// encoded unchanged.
macro_rules! open_enum {
    ($(#[$doc:meta])* $vis:vis struct $name:ident($int:ty) {
        $($(#[$item_doc:meta])* $item:ident = $value:expr => $text:literal),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub $int);

        impl $name {
            $($(#[$item_doc])* pub const $item: Self = Self($value);)*

            /// The name of a value that has one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                $(if self.0 == $value { return Some($text); })*
                None
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{:#x}", self.0),
                }
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

pub(crate) use open_enum;
