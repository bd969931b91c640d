//! What a section gives back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was measured for one row of what is to be reached. Its keys are only ever added to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// How it was measured, in Markdown.
    pub text: String,
    /// What was to be reached.
    pub targets: Vec<Target>,
    /// All figures.
    pub tables: Vec<Table>,
    /// Pictures of them.
    pub charts: Vec<Chart>,
    /// The machine it was measured on; filled in by who runs it.
    #[serde(default)]
    pub machine: Option<BTreeMap<String, String>>,
}

/// A figure and its bound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Which figure.
    pub what: String,
    /// What it should be.
    pub bound: Bound,
    /// What it is.
    pub value: f64,
    /// What both are in; may be empty.
    pub unit: String,
}

/// Which side of a number is good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// No more than that.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
}

/// A table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// Its columns.
    pub header: Vec<String>,
    /// Its rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

/// Lines over a common axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chart {
    /// Its heading.
    pub title: String,
    /// What the horizontal axis is.
    pub x: String,
    /// What the vertical axis is; it begins at 0.
    pub y: String,
    /// The horizontal axis is logarithmic.
    pub log_x: bool,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

impl Target {
    /// A figure, to be held against its bound.
    #[must_use]
    pub fn new(what: impl Into<String>, bound: Bound, value: f64, unit: &str) -> Target {
        Target { what: what.into(), bound, value, unit: unit.to_owned() }
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.value <= most,
            Bound::AtLeast(least) => self.value >= least,
        }
    }
}

impl Table {
    /// A table with a row a thing.
    #[must_use]
    pub fn new<const N: usize>(title: &str, header: [&str; N], rows: Vec<Vec<String>>) -> Table {
        Table { title: title.to_owned(), header: header.map(str::to_owned).to_vec(), rows }
    }
}
