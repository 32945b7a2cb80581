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
    /// `InvalidParameterValueException`, without the `Type` that else goes with it: so it was recorded of some.
    UntypedInvalidParameterValue,
    /// `ValidationException`
    Validation,
    /// `ResourceNotFoundException`
    ResourceNotFound,
    /// `ResourceNotFoundException`, likewise without.
    UntypedResourceNotFound,
    /// `ResourceConflictException`
    ResourceConflict,
    /// `PreconditionFailedException`
    PreconditionFailed,
    /// `CodeStorageExceededException`
    CodeStorageExceeded,
    /// `PolicyLengthExceededException`
    PolicyLengthExceeded,
    /// `ProvisionedConcurrencyConfigNotFoundException`
    ProvisionedConcurrencyConfigNotFound,
    /// `CodeSigningConfigNotFoundException`
    CodeSigningConfigNotFound,
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
    /// In `UpdateAlias` alone.
    #[error("Alias not found: {arn}")]
    UpdatedAliasNotFound { arn: Arn },
    #[error("Function already exist: {name}")]
    FunctionExists { name: String },
    #[error("Alias already exists: {arn}")]
    AliasExists { arn: Arn },
    #[error("The operation cannot be performed at this time. An update is in progress for resource: {arn}")]
    UpdateInProgress { arn: Arn },
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
    #[error("Layer version {arn} does not exist.")]
    LayerVersionNotFound { arn: String },
    #[error("Layer Version Cannot be less than 1")]
    LayerNumberTooSmall,

    #[error("Number of tags exceeds resource tag limit.")]
    TooManyTags,
    #[error("An error occurred and the request cannot be processed.")]
    NoTags,
    #[error("The tag key {key} begins with aws:, which is reserved.")]
    ReservedTag { key: String },
    #[error("Tags on function aliases and versions are not supported. Please specify a function ARN.")]
    TagsOfVersion,

    #[error("The resource you requested does not exist.")]
    RequestedResourceNotFound,
    #[error("Event source mapping not found: {arn}")]
    TaggedMappingNotFound { arn: String },
    #[error("Capacity provider not found: {arn}")]
    TaggedCapacityProviderNotFound { arn: String },
    #[error("Function does not exist")]
    FunctionDoesNotExist,
    #[error("The function doesn't exist.")]
    NoSuchFunction,

    #[error("We currently do not support adding policies for $LATEST.")]
    PolicyOfLatest,
    #[error("The provided principal was invalid. Please check the principal and try again.")]
    InvalidPrincipal,
    #[error(
        "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the existing statement."
    )]
    StatementExists { sid: String },
    #[error("Statement {sid} is not found in resource policy.")]
    StatementNotFound { sid: String },
    #[error("No policy is associated with the given resource.")]
    NoPolicy,
    #[error("No policy found for: {arn}")]
    NoPolicyFound { arn: Arn },
    #[error("The final policy size ({size_bytes}) is bigger than the limit ({limit_bytes}).")]
    PolicyLengthExceeded { size_bytes: usize, limit_bytes: usize },

    #[error(
        "Specified ReservedConcurrentExecutions for function decreases account's \
         UnreservedConcurrentExecution below its minimum value of [{minimum}]."
    )]
    ReservedTooMuch { minimum: u32 },
    /// AWS begins with a space and has two in the middle.
    #[error(
        " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
         concurrency [{provisioned}]."
    )]
    ReservedBelowProvisioned { reserved: u32, provisioned: u32 },
    #[error("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")]
    ProvisionedLatest,
    #[error("The function resource provided must be an alias or a published version.")]
    NotPublished,
    #[error("No Provisioned Concurrency Config found for this function")]
    ProvisionedConcurrencyConfigNotFound,
    #[error(
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    )]
    VersionProvisioned,
    #[error("Version is pointed by a Provisioned Concurrency alias")]
    AliasProvisioned,
    #[error(
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for \
         function"
    )]
    ProvisionedAboveReserved,
    #[error(
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency \
         [{unreserved}]."
    )]
    ProvisionedAboveUnreserved { unreserved: u32 },
    #[error(
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
         its minimum value of [{minimum}]."
    )]
    ProvisionedTooMuch { minimum: u32 },

    #[error("You must specify at least one of error handling or destination setting.")]
    EventInvokeEmpty,
    #[error("The function {arn} doesn't have an EventInvokeConfig")]
    EventInvokeConfigNotFound { arn: Arn },
    #[error("You can't specify the function as a destination for itself.")]
    DestinationIsItself,
    #[error("The destination ARN {arn} is invalid.")]
    DestinationMissing { arn: String },
    #[error(
        "The provided destination config DestinationConfig(onSuccess={on_success}, onFailure={on_failure}) is \
         invalid."
    )]
    DestinationsInvalid { on_success: String, on_failure: String },

    #[error(
        "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
         exists for this Lambda function"
    )]
    UrlExists { arn: Arn },

    #[error("You must specify a RuntimeVersionArn when UpdateRuntimeOn is Manual.")]
    RuntimeVersionMissing,
    #[error("You can specify a RuntimeVersionArn only when UpdateRuntimeOn is Manual.")]
    RuntimeVersionUnexpected,

    #[error("The Lambda code signing configuration {arn} can not be found.")]
    CodeSigningConfigMissing { arn: String },
    #[error(
        "The code signing configuration cannot be found. Check that the provided configuration is not \
         deleted: {arn}."
    )]
    CodeSigningConfigNotFound { arn: String },
    #[error("The code signing configuration {arn} is used by at least one function.")]
    CodeSigningConfigInUse { arn: String },

    #[error("Unrecognized event source.")]
    UnrecognizedEventSource,
    #[error("Required 'sourceAccessConfigurations' parameter is missing.")]
    SourceAccessMissing,
    #[error("Function does not exist")]
    FedFunctionMissing,
    #[error("Unsupported DestinationConfig parameter for given event source mapping type.")]
    MappingDestinationUnsupported,
    #[error(
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member \
         must not be null."
    )]
    StartingPositionMissing,
    #[error("Unsupported starting position for arn type: {arn}")]
    StartingPositionUnsupported { arn: String },
    #[error(
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    )]
    BatchWindowMissing,
    #[error("Invalid filter pattern definition.")]
    InvalidFilterPattern,
    #[error(
        "An event source mapping with SQS arn (\" {arn} \") and function (\" {function} \") already exists. \
         Please update or delete the existing mapping with UUID {uuid}"
    )]
    QueueMapped { arn: String, function: String, uuid: String },
    #[error(
        "The event source arn (\" {arn} \") and function (\" {function} \") provided mapping already exists. \
         Please update or delete the existing mapping with UUID {uuid}"
    )]
    SourceMapped { arn: String, function: String, uuid: String },
    #[error(
        "An event source mapping with event source (\"{servers}\"), function (\"{function}\"), topics \
         (\"{topics}\") already exists. Please update or delete the existing mapping with UUID {uuid}"
    )]
    TopicsMapped { servers: String, function: String, topics: String, uuid: String },

    /// One value that breaks a constraint of the model.
    #[error(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    )]
    Constraint { member: &'static str, value: String, constraint: String },
    #[error(transparent)]
    Variables(#[from] InvalidVariables),
}

impl Refusal {
    /// Which exception it is.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Refusal::FunctionNotFound { .. }
            | Refusal::AliasNotFound { .. }
            | Refusal::UpdatedAliasNotFound { .. }
            | Refusal::RequestedResourceNotFound
            | Refusal::TaggedMappingNotFound { .. }
            | Refusal::TaggedCapacityProviderNotFound { .. }
            | Refusal::FunctionDoesNotExist
            | Refusal::NoSuchFunction
            | Refusal::StatementNotFound { .. }
            | Refusal::NoPolicy
            | Refusal::NoPolicyFound { .. }
            | Refusal::EventInvokeConfigNotFound { .. }
            | Refusal::LayerVersionNotFound { .. } => RefusalKind::ResourceNotFound,
            Refusal::CodeSigningConfigMissing { .. } => RefusalKind::UntypedResourceNotFound,
            Refusal::ProvisionedConcurrencyConfigNotFound => {
                RefusalKind::ProvisionedConcurrencyConfigNotFound
            }
            Refusal::CodeSigningConfigNotFound { .. } => RefusalKind::CodeSigningConfigNotFound,
            Refusal::FunctionExists { .. }
            | Refusal::AliasExists { .. }
            | Refusal::UpdateInProgress { .. }
            | Refusal::VersionHasAliases { .. }
            | Refusal::StatementExists { .. }
            | Refusal::VersionProvisioned
            | Refusal::AliasProvisioned
            | Refusal::UrlExists { .. }
            | Refusal::CodeSigningConfigInUse { .. }
            | Refusal::QueueMapped { .. }
            | Refusal::SourceMapped { .. }
            | Refusal::TopicsMapped { .. } => RefusalKind::ResourceConflict,
            Refusal::RevisionDiffers { .. } => RefusalKind::PreconditionFailed,
            Refusal::CodeStorageExceeded => RefusalKind::CodeStorageExceeded,
            Refusal::PolicyLengthExceeded { .. } => RefusalKind::PolicyLengthExceeded,
            Refusal::Constraint { .. } | Refusal::Variables(InvalidVariables::Key { .. }) => {
                RefusalKind::Validation
            }
            Refusal::LatestWeighted
            | Refusal::ReservedTooMuch { .. }
            | Refusal::ReservedBelowProvisioned { .. }
            | Refusal::ProvisionedAboveUnreserved { .. }
            | Refusal::ProvisionedTooMuch { .. } => RefusalKind::UntypedInvalidParameterValue,
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
            | Refusal::TooManyLayers
            | Refusal::LayerTwice { .. }
            | Refusal::LayerElsewhere { .. }
            | Refusal::LayerMissing { .. }
            | Refusal::LayerNumberTooSmall
            | Refusal::TooManyTags
            | Refusal::NoTags
            | Refusal::ReservedTag { .. }
            | Refusal::TagsOfVersion
            | Refusal::PolicyOfLatest
            | Refusal::InvalidPrincipal
            | Refusal::ProvisionedLatest
            | Refusal::NotPublished
            | Refusal::ProvisionedAboveReserved
            | Refusal::EventInvokeEmpty
            | Refusal::DestinationIsItself
            | Refusal::DestinationMissing { .. }
            | Refusal::DestinationsInvalid { .. }
            | Refusal::RuntimeVersionMissing
            | Refusal::RuntimeVersionUnexpected
            | Refusal::UnrecognizedEventSource
            | Refusal::SourceAccessMissing
            | Refusal::FedFunctionMissing
            | Refusal::MappingDestinationUnsupported
            | Refusal::StartingPositionMissing
            | Refusal::StartingPositionUnsupported { .. }
            | Refusal::BatchWindowMissing
            | Refusal::InvalidFilterPattern
            | Refusal::Variables(_) => RefusalKind::InvalidParameterValue,
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
