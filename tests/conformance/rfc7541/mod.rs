//! RFC 7541 (HPACK): a file per section, a function per requirement.

mod appendix_c_examples;
mod blocks;
mod encoders;
mod hostile;
mod section_4_table;
mod section_5_primitives;
mod section_6_representations;
