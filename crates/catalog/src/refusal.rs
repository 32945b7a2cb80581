//! Every refusal, in AWS's words where they are known.
//!
//! Nouns refuse; the front door asks for the [`RefusalKind`], which decides class and status, and shows the
//! text.

use crate::arn::Arn;
use crate::variables::InvalidVariables;

/// Which exception of AWS's model a refusal is. The front door knows its status and how its body is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// `InvalidParameterValueException`
    InvalidParameterValue,
    /// `ValidationException`
    Validation,
    /// `ResourceNotFoundException`
    ResourceNotFound,
    /// `ResourceConflictException`
    ResourceConflict,
    /// `PreconditionFailedException`
    PreconditionFailed,
    /// `CodeStorageExceededException`
    CodeStorageExceeded,
}

/// Which call tells the present revision, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionOf {
    /// Versions and aliases.
    Function,
    /// Resource policies.
    Policy,
    /// Policies of layer versions.
    LayerPolicy,
}

/// Why an operation was not done: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of each says it")]
pub enum Refusal {
    #[error("Function not found: {arn}")]
    FunctionNotFound { arn: Arn },
    #[error("Cannot find alias arn: {arn}")]
    AliasNotFound { arn: Arn },
    #[error("Function already exist: {name}")]
    FunctionExists { name: String },
    #[error("Alias already exists: {arn}")]
    AliasExists { arn: Arn },
    #[error("The operation cannot be performed at this time. An update is in progress for resource: {arn}")]
    UpdateInProgress { arn: Arn },
    #[error(
        "The operation cannot be performed at this time. The function is currently in the following state: \
         {state}"
    )]
    NotReady { state: &'static str },
    #[error(
        "The Revision Id provided does not match the latest Revision Id. Call the {} API to retrieve the \
         latest Revision Id", of.call()
    )]
    RevisionDiffers { of: RevisionOf },
    #[error(
        "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try again \
         with the CodeSHA256 in $LATEST."
    )]
    CodeDiffers { given: String, current: String },
    #[error("$LATEST version cannot be deleted without deleting the function.")]
    LatestCannotBeDeleted,
    #[error("Version {number} is referenced by alias(es): {}", aliases.join(", "))]
    VersionHasAliases { number: u64, aliases: Vec<String> },
    #[error("Please provide ImageUri when updating a function with packageType Image.")]
    ImageUriMissing,
    #[error("Please don't provide ImageUri when updating a function with packageType Zip.")]
    ImageUriUnexpected,
    #[error("Code storage limit exceeded.")]
    CodeStorageExceeded,
    #[error("Runtime and Handler are mandatory parameters for functions created with deployment packages.")]
    RuntimeOrHandlerMissing,
    #[error(
        "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
    )]
    RuntimeOrHandlerOfImage,
    #[error("ImageConfig is not supported for functions created with deployment packages.")]
    ImageConfigOfZip,
    #[error(
        "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or \
         change the LogFormat to \"JSON\" and try again."
    )]
    LogLevelOfText,
    #[error("SnapStart and several invocations at a time in one environment exclude each other")]
    SnapStartWithConcurrency,
    #[error("The provided marker is invalid: {marker}")]
    InvalidMarker { marker: String },

    #[error("Number of items in AdditionalVersionWeights cannot be greater than 1")]
    TooManyWeights,
    #[error(
        "Invalid function version {number}. Function version {number} is already included in routing \
         configuration."
    )]
    SameVersionWeighted { number: u64 },
    #[error("$LATEST is not supported for an alias pointing to more than 1 version")]
    LatestWeighted,

    #[error("Cannot reference more than 5 layers.")]
    TooManyLayers,
    #[error(
        "Two different versions of the same layer are not allowed to be referenced in the same function. \
         {first} and {second} are versions of the same layer."
    )]
    LayerTwice { first: String, second: String },
    #[error(
        "Layers are not in the same region as the function. Layers are expected to be in region {region}."
    )]
    LayerElsewhere { region: String },
    #[error("Layer version {arn} does not exist.")]
    LayerMissing { arn: String },

    #[error("Number of tags exceeds resource tag limit.")]
    TooManyTags,

    /// One value that breaks a constraint of the model.
    #[error(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    )]
    Constraint { member: &'static str, value: String, constraint: String },
    #[error(transparent)]
    Variables(#[from] InvalidVariables),
    /// A combination of values that AWS does not take.
    #[error("{0}")]
    InvalidParameter(String),
}

impl Refusal {
    /// Which exception it is.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Refusal::FunctionNotFound { .. } | Refusal::AliasNotFound { .. } => RefusalKind::ResourceNotFound,
            Refusal::FunctionExists { .. }
            | Refusal::AliasExists { .. }
            | Refusal::UpdateInProgress { .. }
            | Refusal::NotReady { .. }
            | Refusal::VersionHasAliases { .. } => RefusalKind::ResourceConflict,
            Refusal::RevisionDiffers { .. } => RefusalKind::PreconditionFailed,
            Refusal::CodeStorageExceeded => RefusalKind::CodeStorageExceeded,
            Refusal::Constraint { .. } | Refusal::Variables(InvalidVariables::Key { .. }) => {
                RefusalKind::Validation
            }
            Refusal::CodeDiffers { .. }
            | Refusal::LatestCannotBeDeleted
            | Refusal::ImageUriMissing
            | Refusal::ImageUriUnexpected
            | Refusal::RuntimeOrHandlerMissing
            | Refusal::RuntimeOrHandlerOfImage
            | Refusal::ImageConfigOfZip
            | Refusal::LogLevelOfText
            | Refusal::SnapStartWithConcurrency
            | Refusal::InvalidMarker { .. }
            | Refusal::TooManyWeights
            | Refusal::SameVersionWeighted { .. }
            | Refusal::LatestWeighted
            | Refusal::TooManyLayers
            | Refusal::LayerTwice { .. }
            | Refusal::LayerElsewhere { .. }
            | Refusal::LayerMissing { .. }
            | Refusal::TooManyTags
            | Refusal::Variables(_)
            | Refusal::InvalidParameter(_) => RefusalKind::InvalidParameterValue,
        }
    }
}

impl RevisionOf {
    fn call(self) -> &'static str {
        match self {
            RevisionOf::Function => "GetFunction/GetAlias",
            RevisionOf::Policy => "GetPolicy",
            RevisionOf::LayerPolicy => "GetLayerPolicy",
        }
    }

    /// Refuses a revision that the caller expects and that is not the present one.
    pub(crate) fn expect(self, given: Option<&str>, present: &str) -> Result<(), Refusal> {
        match given {
            Some(given) if given != present => Err(Refusal::RevisionDiffers { of: self }),
            _ => Ok(()),
        }
    }
}
