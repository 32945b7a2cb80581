//! TEMP
/// TEMP
#[derive(Debug, Clone, Default)]
pub struct SourceSettings;
