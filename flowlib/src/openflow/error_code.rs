//! The OFPT_ERROR codes and their names.
//!
//! Names are those that ovs-ofctl(8) prints. Source: OpenFlow 1.3.5 §7.4.4; ONF EXT-230 (bundles), EXT-236, EXT-260 and others;
//! `include/openvswitch/ofp-errors.h` of Open vSwitch 3.1 (Nicira's).

use std::fmt;

/// A kind of error. One that is not known is kept and printed as numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode {
    /// The type; [`ErrorCode::EXPERIMENTER`] for an experimenter's.
    pub error_type: u16,
    /// The code, whose meaning the type (or the experimenter) gives.
    pub code: u16,
    /// Whose code it is, if it is an experimenter's; else 0.
    pub experimenter: u32,
}

macro_rules! codes {
    ($($name:ident = $error_type:literal, $code:literal, $experimenter:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                pub const $name: Self =
                    Self { error_type: $error_type, code: $code, experimenter: $experimenter };
            )*

            /// The name of a code that has one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Every code that has a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

impl ErrorCode {
    /// OFPET_EXPERIMENTER.
    pub const EXPERIMENTER: u16 = 0xffff;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.experimenter) {
            (Some(name), _) => f.write_str(name),
            (None, 0) => write!(f, "error type {} code {}", self.error_type, self.code),
            (None, who) => write!(f, "error {} of experimenter {who:#010x}", self.code),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

codes! {
    OFPHFC_INCOMPATIBLE = 0, 0, 0;
    OFPHFC_EPERM = 0, 1, 0;
    OFPBRC_BAD_VERSION = 1, 0, 0;
    OFPBRC_BAD_TYPE = 1, 1, 0;
    OFPBRC_BAD_STAT = 1, 2, 0;
    OFPBRC_BAD_VENDOR = 1, 3, 0;
    OFPBRC_BAD_SUBTYPE = 1, 4, 0;
    OFPBRC_EPERM = 1, 5, 0;
    OFPBRC_BAD_LEN = 1, 6, 0;
    OFPBRC_BUFFER_EMPTY = 1, 7, 0;
    OFPBRC_BUFFER_UNKNOWN = 1, 8, 0;
    OFPBRC_BAD_TABLE_ID = 1, 9, 0;
    OFPBRC_IS_SECONDARY = 1, 10, 0;
    OFPBRC_BAD_PORT = 1, 11, 0;
    OFPBRC_BAD_PACKET = 1, 12, 0;
    OFPBRC_MULTIPART_BUFFER_OVERFLOW = 1, 13, 0;
    OFPBAC_BAD_TYPE = 2, 0, 0;
    OFPBAC_BAD_LEN = 2, 1, 0;
    OFPBAC_BAD_VENDOR = 2, 2, 0;
    OFPBAC_BAD_VENDOR_TYPE = 2, 3, 0;
    OFPBAC_BAD_OUT_PORT = 2, 4, 0;
    OFPBAC_BAD_ARGUMENT = 2, 5, 0;
    OFPBAC_EPERM = 2, 6, 0;
    OFPBAC_TOO_MANY = 2, 7, 0;
    OFPBAC_BAD_QUEUE = 2, 8, 0;
    OFPBAC_BAD_OUT_GROUP = 2, 9, 0;
    OFPBAC_MATCH_INCONSISTENT = 2, 10, 0;
    OFPBAC_UNSUPPORTED_ORDER = 2, 11, 0;
    OFPBAC_BAD_TAG = 2, 12, 0;
    OFPBAC_BAD_SET_TYPE = 2, 13, 0;
    OFPBAC_BAD_SET_LEN = 2, 14, 0;
    OFPBAC_BAD_SET_ARGUMENT = 2, 15, 0;
    OFPBIC_UNKNOWN_INST = 3, 0, 0;
    OFPBIC_UNSUP_INST = 3, 1, 0;
    OFPBIC_BAD_TABLE_ID = 3, 2, 0;
    OFPBIC_UNSUP_METADATA = 3, 3, 0;
    OFPBIC_UNSUP_METADATA_MASK = 3, 4, 0;
    OFPBIC_BAD_EXPERIMENTER = 3, 5, 0;
    OFPBIC_BAD_EXP_TYPE = 3, 6, 0;
    OFPBIC_BAD_LEN = 3, 7, 0;
    OFPBIC_EPERM = 3, 8, 0;
    OFPBMC_BAD_TYPE = 4, 0, 0;
    OFPBMC_BAD_LEN = 4, 1, 0;
    OFPBMC_BAD_TAG = 4, 2, 0;
    OFPBMC_BAD_DL_ADDR_MASK = 4, 3, 0;
    OFPBMC_BAD_NW_ADDR_MASK = 4, 4, 0;
    OFPBMC_BAD_WILDCARDS = 4, 5, 0;
    OFPBMC_BAD_FIELD = 4, 6, 0;
    OFPBMC_BAD_VALUE = 4, 7, 0;
    OFPBMC_BAD_MASK = 4, 8, 0;
    OFPBMC_BAD_PREREQ = 4, 9, 0;
    OFPBMC_DUP_FIELD = 4, 10, 0;
    OFPBMC_EPERM = 4, 11, 0;
    OFPFMFC_UNKNOWN = 5, 0, 0;
    OFPFMFC_TABLE_FULL = 5, 1, 0;
    OFPFMFC_BAD_TABLE_ID = 5, 2, 0;
    OFPFMFC_OVERLAP = 5, 3, 0;
    OFPFMFC_EPERM = 5, 4, 0;
    OFPFMFC_BAD_TIMEOUT = 5, 5, 0;
    OFPFMFC_BAD_COMMAND = 5, 6, 0;
    OFPFMFC_BAD_FLAGS = 5, 7, 0;
    OFPGMFC_GROUP_EXISTS = 6, 0, 0;
    OFPGMFC_INVALID_GROUP = 6, 1, 0;
    OFPGMFC_WEIGHT_UNSUPPORTED = 6, 2, 0;
    OFPGMFC_OUT_OF_GROUPS = 6, 3, 0;
    OFPGMFC_OUT_OF_BUCKETS = 6, 4, 0;
    OFPGMFC_CHAINING_UNSUPPORTED = 6, 5, 0;
    OFPGMFC_WATCH_UNSUPPORTED = 6, 6, 0;
    OFPGMFC_LOOP = 6, 7, 0;
    OFPGMFC_UNKNOWN_GROUP = 6, 8, 0;
    OFPGMFC_CHAINED_GROUP = 6, 9, 0;
    OFPGMFC_BAD_TYPE = 6, 10, 0;
    OFPGMFC_BAD_COMMAND = 6, 11, 0;
    OFPGMFC_BAD_BUCKET = 6, 12, 0;
    OFPGMFC_BAD_WATCH = 6, 13, 0;
    OFPGMFC_EPERM = 6, 14, 0;
    OFPPMFC_BAD_PORT = 7, 0, 0;
    OFPPMFC_BAD_HW_ADDR = 7, 1, 0;
    OFPPMFC_BAD_CONFIG = 7, 2, 0;
    OFPPMFC_BAD_ADVERTISE = 7, 3, 0;
    OFPPMFC_EPERM = 7, 4, 0;
    OFPTMFC_BAD_TABLE = 8, 0, 0;
    OFPTMFC_BAD_CONFIG = 8, 1, 0;
    OFPTMFC_EPERM = 8, 2, 0;
    OFPQOFC_BAD_PORT = 9, 0, 0;
    OFPQOFC_BAD_QUEUE = 9, 1, 0;
    OFPQOFC_EPERM = 9, 2, 0;
    OFPSCFC_BAD_FLAGS = 10, 0, 0;
    OFPSCFC_BAD_LEN = 10, 1, 0;
    OFPSCFC_EPERM = 10, 2, 0;
    OFPRRFC_STALE = 11, 0, 0;
    OFPRRFC_UNSUP = 11, 1, 0;
    OFPRRFC_BAD_ROLE = 11, 2, 0;
    OFPMMFC_UNKNOWN = 12, 0, 0;
    OFPMMFC_METER_EXISTS = 12, 1, 0;
    OFPMMFC_INVALID_METER = 12, 2, 0;
    OFPMMFC_UNKNOWN_METER = 12, 3, 0;
    OFPMMFC_BAD_COMMAND = 12, 4, 0;
    OFPMMFC_BAD_FLAGS = 12, 5, 0;
    OFPMMFC_BAD_RATE = 12, 6, 0;
    OFPMMFC_BAD_BURST = 12, 7, 0;
    OFPMMFC_BAD_BAND = 12, 8, 0;
    OFPMMFC_BAD_BAND_VALUE = 12, 9, 0;
    OFPMMFC_OUT_OF_METERS = 12, 10, 0;
    OFPMMFC_OUT_OF_BANDS = 12, 11, 0;
    OFPTFFC_BAD_TABLE = 13, 0, 0;
    OFPTFFC_BAD_METADATA = 13, 1, 0;
    OFPBPC_BAD_TYPE = 13, 2, 0;
    OFPBPC_BAD_LEN = 13, 3, 0;
    OFPBPC_BAD_VALUE = 13, 4, 0;
    OFPTFFC_EPERM = 13, 5, 0;
    OFPBFC_UNKNOWN = 0xffff, 2300, 0x4f4e_4600;
    OFPBFC_EPERM = 0xffff, 2301, 0x4f4e_4600;
    OFPBFC_BAD_ID = 0xffff, 2302, 0x4f4e_4600;
    OFPBFC_BUNDLE_EXIST = 0xffff, 2303, 0x4f4e_4600;
    OFPBFC_BUNDLE_CLOSED = 0xffff, 2304, 0x4f4e_4600;
    OFPBFC_OUT_OF_BUNDLES = 0xffff, 2305, 0x4f4e_4600;
    OFPBFC_BAD_TYPE = 0xffff, 2306, 0x4f4e_4600;
    OFPBFC_BAD_FLAGS = 0xffff, 2307, 0x4f4e_4600;
    OFPBFC_MSG_BAD_LEN = 0xffff, 2308, 0x4f4e_4600;
    OFPBFC_MSG_BAD_XID = 0xffff, 2309, 0x4f4e_4600;
    OFPBFC_MSG_UNSUP = 0xffff, 2310, 0x4f4e_4600;
    OFPBFC_MSG_CONFLICT = 0xffff, 2311, 0x4f4e_4600;
    OFPBFC_MSG_TOO_MANY = 0xffff, 2312, 0x4f4e_4600;
    OFPBFC_MSG_FAILED = 0xffff, 2313, 0x4f4e_4600;
    OFPBFC_TIMEOUT = 0xffff, 2314, 0x4f4e_4600;
    OFPBFC_BUNDLE_IN_PROGRESS = 0xffff, 2315, 0x4f4e_4600;
    OFPFMFC_BAD_PRIORITY = 0xffff, 2360, 0x4f4e_4600;
    OFPACFC_INVALID = 0xffff, 2370, 0x4f4e_4600;
    OFPACFC_UNSUPPORTED = 0xffff, 2371, 0x4f4e_4600;
    OFPACFC_EPERM = 0xffff, 2372, 0x4f4e_4600;
    OFPBIC_DUP_INST = 0xffff, 2600, 0x4f4e_4600;
    OFPBRC_MULTIPART_REQUEST_TIMEOUT = 0xffff, 2640, 0x4f4e_4600;
    OFPBRC_MULTIPART_REPLY_TIMEOUT = 0xffff, 2641, 0x4f4e_4600;
    OFPBAC_BAD_SET_MASK = 0xffff, 4250, 0x4f4e_4600;
    OFPBPC_TOO_MANY = 0xffff, 4443, 0x4f4e_4600;
    OFPBPC_DUP_TYPE = 0xffff, 4444, 0x4f4e_4600;
    OFPBPC_BAD_EXPERIMENTER = 0xffff, 4445, 0x4f4e_4600;
    OFPBPC_BAD_EXP_TYPE = 0xffff, 4446, 0x4f4e_4600;
    OFPBPC_BAD_EXP_VALUE = 0xffff, 4447, 0x4f4e_4600;
    OFPBPC_EPERM = 0xffff, 4448, 0x4f4e_4600;
    NXBRC_NXM_INVALID = 0xffff, 2, 0x0000_2320;
    NXBRC_NXM_BAD_TYPE = 0xffff, 3, 0x0000_2320;
    NXBRC_MUST_BE_ZERO = 0xffff, 4, 0x0000_2320;
    NXBRC_BAD_REASON = 0xffff, 5, 0x0000_2320;
    OFPMOFC_MONITOR_EXISTS = 0xffff, 6, 0x0000_2320;
    OFPMOFC_BAD_FLAGS = 0xffff, 7, 0x0000_2320;
    OFPMOFC_UNKNOWN_MONITOR = 0xffff, 8, 0x0000_2320;
    NXBRC_FM_BAD_EVENT = 0xffff, 9, 0x0000_2320;
    NXBRC_UNENCODABLE_ERROR = 0xffff, 10, 0x0000_2320;
    NXBAC_MUST_BE_ZERO = 0xffff, 11, 0x0000_2320;
    NXFMFC_HARDWARE = 0xffff, 12, 0x0000_2320;
    NXFMFC_BAD_TABLE_ID = 0xffff, 13, 0x0000_2320;
    NXBAC_BAD_CONJUNCTION = 0xffff, 15, 0x0000_2320;
    NXTTMFC_BAD_COMMAND = 0xffff, 16, 0x0000_2320;
    NXTTMFC_BAD_OPT_LEN = 0xffff, 17, 0x0000_2320;
    NXTTMFC_BAD_FIELD_IDX = 0xffff, 18, 0x0000_2320;
    NXTTMFC_TABLE_FULL = 0xffff, 19, 0x0000_2320;
    NXTTMFC_ALREADY_MAPPED = 0xffff, 20, 0x0000_2320;
    NXTTMFC_DUP_ENTRY = 0xffff, 21, 0x0000_2320;
    NXR_NOT_SUPPORTED = 0xffff, 34, 0x0000_2320;
    NXR_STALE = 0xffff, 35, 0x0000_2320;
    NXST_NOT_CONFIGURED = 0xffff, 36, 0x0000_2320;
    NXFMFC_INVALID_TLV_FIELD = 0xffff, 37, 0x0000_2320;
    NXTTMFC_INVALID_TLV_DEL = 0xffff, 38, 0x0000_2320;
    NXBAC_BAD_HEADER_TYPE = 0xffff, 39, 0x0000_2320;
    NXBAC_UNKNOWN_ED_PROP = 0xffff, 40, 0x0000_2320;
    NXBAC_BAD_ED_PROP = 0xffff, 41, 0x0000_2320;
    NXBAC_CT_DATAPATH_SUPPORT = 0xffff, 42, 0x0000_2320;
    NXBMC_CT_DATAPATH_SUPPORT = 0xffff, 43, 0x0000_2320;
    NXTFFC_DUP_TABLE = 0xffff, 44, 0x0000_2320;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_standard_s_and_the_unknown_has_numbers() {
        assert_eq!(ErrorCode::OFPFMFC_TABLE_FULL.to_string(), "OFPFMFC_TABLE_FULL");
        let unknown = ErrorCode { error_type: 40, code: 2, experimenter: 0 };
        assert_eq!(unknown.to_string(), "error type 40 code 2");
    }
}
