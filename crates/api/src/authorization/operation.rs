//! What an operation needs: the action's name, and the kind of resource it is asked for.
//!
//! An action is named as its operation, but for those in [`permission`]. Operations that list or create things that have no name
//! yet are asked for on `*`.

/// What an ARN of the resource looks like, after `arn:aws:lambda:region:account:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// `*`: the action knows no resource.
    Any,
    /// `function:name`, with `:qualifier` where the request has one.
    Function,
    /// `layer:name`
    Layer,
    /// `layer:name:1`
    LayerVersion,
    /// `event-source-mapping:uuid`
    EventSourceMapping,
    /// `code-signing-config:csc-…`
    CodeSigningConfig,
    /// `capacity-provider:name`
    CapacityProvider,
    /// `function:name:version/durable-execution/name/id`
    DurableExecution,
    /// Whatever ARN the request holds.
    Given,
}

/// What has to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// `lambda:InvokeFunction`
    pub action: String,
    /// On which kind of resource.
    pub resource: ResourceKind,
}

/// What the operation of this name needs; nothing for a name that no operation has.
#[must_use]
pub fn permission(operation: &str) -> Option<Permission> {
    let (resource, _) = OPERATIONS.iter().find(|(_, names)| names.contains(&operation))?;
    let action = match operation {
        "Invoke" | "InvokeWithResponseStream" => "InvokeFunction",
        "GetLayerVersionByArn" => "GetLayerVersion",
        other => other,
    };
    Some(Permission { action: format!("lambda:{action}"), resource: *resource })
}

const OPERATIONS: &[(ResourceKind, &[&str])] = &[
    (
        ResourceKind::Function,
        &[
            "AddPermission",
            "CreateAlias",
            "CreateFunction",
            "CreateFunctionUrlConfig",
            "DeleteAlias",
            "DeleteFunction",
            "DeleteFunctionCodeSigningConfig",
            "DeleteFunctionConcurrency",
            "DeleteFunctionEventInvokeConfig",
            "DeleteFunctionUrlConfig",
            "DeleteProvisionedConcurrencyConfig",
            "GetAlias",
            "GetFunction",
            "GetFunctionCodeSigningConfig",
            "GetFunctionConcurrency",
            "GetFunctionConfiguration",
            "GetFunctionEventInvokeConfig",
            "GetFunctionRecursionConfig",
            "GetFunctionScalingConfig",
            "GetFunctionUrlConfig",
            "GetPolicy",
            "GetProvisionedConcurrencyConfig",
            "GetRuntimeManagementConfig",
            "Invoke",
            "InvokeAsync",
            "InvokeWithResponseStream",
            "ListAliases",
            "ListDurableExecutionsByFunction",
            "ListFunctionEventInvokeConfigs",
            "ListFunctionUrlConfigs",
            "ListProvisionedConcurrencyConfigs",
            "ListVersionsByFunction",
            "PublishVersion",
            "PutFunctionCodeSigningConfig",
            "PutFunctionConcurrency",
            "PutFunctionEventInvokeConfig",
            "PutFunctionRecursionConfig",
            "PutFunctionScalingConfig",
            "PutProvisionedConcurrencyConfig",
            "PutRuntimeManagementConfig",
            "RemovePermission",
            "UpdateAlias",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
            "UpdateFunctionEventInvokeConfig",
            "UpdateFunctionUrlConfig",
        ],
    ),
    (ResourceKind::Layer, &["PublishLayerVersion"]),
    (
        ResourceKind::LayerVersion,
        &[
            "AddLayerVersionPermission",
            "DeleteLayerVersion",
            "GetLayerVersion",
            "GetLayerVersionByArn",
            "GetLayerVersionPolicy",
            "RemoveLayerVersionPermission",
        ],
    ),
    (
        ResourceKind::EventSourceMapping,
        &["DeleteEventSourceMapping", "GetEventSourceMapping", "UpdateEventSourceMapping"],
    ),
    (
        ResourceKind::CodeSigningConfig,
        &[
            "DeleteCodeSigningConfig",
            "GetCodeSigningConfig",
            "ListFunctionsByCodeSigningConfig",
            "UpdateCodeSigningConfig",
        ],
    ),
    (
        ResourceKind::CapacityProvider,
        &[
            "CreateCapacityProvider",
            "DeleteCapacityProvider",
            "GetCapacityProvider",
            "ListFunctionVersionsByCapacityProvider",
            "UpdateCapacityProvider",
        ],
    ),
    (
        ResourceKind::DurableExecution,
        &[
            "CheckpointDurableExecution",
            "DeleteDurableExecution",
            "GetDurableExecution",
            "GetDurableExecutionHistory",
            "GetDurableExecutionState",
            "PauseDurableExecution",
            "ResumeDurableExecution",
            "SendDurableExecutionCallbackFailure",
            "SendDurableExecutionCallbackHeartbeat",
            "SendDurableExecutionCallbackSuccess",
            "StopDurableExecution",
        ],
    ),
    (
        ResourceKind::Given,
        &[
            "DeleteResourcePolicy",
            "GetResourcePolicy",
            "ListTags",
            "PutResourcePolicy",
            "TagResource",
            "UntagResource",
        ],
    ),
    (
        ResourceKind::Any,
        &[
            "CreateCodeSigningConfig",
            "CreateEventSourceMapping",
            "GetAccountSettings",
            "ListCapacityProviders",
            "ListCodeSigningConfigs",
            "ListEventSourceMappings",
            "ListFunctions",
            "ListLayerVersions",
            "ListLayers",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_one_permission() {
        let mut names: Vec<_> = OPERATIONS.iter().flat_map(|(_, names)| *names).collect();
        assert_eq!(names.len(), 91);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 91);
    }

    #[test]
    fn actions_are_named_as_operations_but_for_a_few() {
        let action = |operation| permission(operation).map(|permission| permission.action);
        assert_eq!(action("Invoke").unwrap(), "lambda:InvokeFunction");
        assert_eq!(action("InvokeWithResponseStream").unwrap(), "lambda:InvokeFunction");
        assert_eq!(action("InvokeAsync").unwrap(), "lambda:InvokeAsync");
        assert_eq!(action("GetLayerVersionByArn").unwrap(), "lambda:GetLayerVersion");
        assert_eq!(action("UpdateFunctionCode").unwrap(), "lambda:UpdateFunctionCode");
        assert_eq!(action("invoke"), None);
    }
}
