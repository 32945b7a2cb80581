use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:orders";
const INVOKE: &str = "lambda:InvokeFunction";
const ALICE: &str = "arn:aws:iam::123456789012:user/alice";
const BOB: &str = "arn:aws:iam::999999999999:user/bob";

fn identity(arn: &str, policy: Option<&Value>) -> Identity {
    Identity {
        access_key_id: "AK".into(),
        arn: arn.into(),
        account: arn.split(':').nth(4).unwrap().into(),
        user_id: "AK".into(),
        policy: policy.map(|policy| Policy::of_identity(policy).unwrap()).unwrap_or_default(),
    }
}

fn statement(effect: &str, action: &str, resource: &str) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": resource })
}

fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// What `AddPermission` makes.
fn permission_for(principal: &Value, condition: Option<Value>) -> Policy {
    let mut statement = json!({
        "Sid": "1", "Effect": "Allow", "Principal": principal, "Action": INVOKE, "Resource": FUNCTION,
    });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    Policy::of_resource(&policy(&[statement])).unwrap()
}

fn asked(caller: Caller<'_>, context: Context, of_resource: Option<&Policy>) -> Result<(), Reason> {
    let access = Access { caller, action: INVOKE, resource: FUNCTION, context };
    decide(access, of_resource).map_err(|denied| denied.reason)
}

#[test]
fn an_identity_may_what_its_policy_says() {
    for (action, resource, allowed) in [
        ("lambda:InvokeFunction", FUNCTION, true),
        ("lambda:invoke*", "arn:aws:lambda:*:*:function:ord?rs", true),
        ("*", "*", true),
        ("lambda:Get*", FUNCTION, false),
        (INVOKE, "arn:aws:lambda:us-east-1:123456789012:function:other", false),
        // A qualified ARN is another resource.
        (INVOKE, "arn:aws:lambda:us-east-1:123456789012:function:orders:*", false),
    ] {
        let alice = identity(ALICE, Some(&policy(&[statement("Allow", action, resource)])));
        let decided = asked(Caller::Identity(&alice), Context::default(), None);
        assert_eq!(
            decided,
            if allowed { Ok(()) } else { Err(Reason::NoIdentityPolicy) },
            "{action} {resource}"
        );
    }
    let inverted =
        json!({ "Effect": "Allow", "NotAction": "lambda:Delete*", "NotResource": "*:function:secret*" });
    let alice = identity(ALICE, Some(&policy(&[inverted])));
    assert_eq!(asked(Caller::Identity(&alice), Context::default(), None), Ok(()));
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let both = policy(&[statement("Deny", "lambda:*", "*"), statement("Allow", "*", "*")]);
    let alice = identity(ALICE, Some(&both));
    assert_eq!(asked(Caller::Identity(&alice), Context::default(), None), Err(Reason::DeniedByIdentity));
    let alice = identity(ALICE, Some(&policy(&[statement("Allow", "*", "*")])));
    let mut statement = statement("Deny", INVOKE, FUNCTION);
    statement["Principal"] = json!({ "AWS": ALICE });
    let of_resource = Policy::of_resource(&policy(&[statement])).unwrap();
    let decided = asked(Caller::Identity(&alice), Context::default(), Some(&of_resource));
    assert_eq!(decided, Err(Reason::DeniedByResource));
}

#[test]
fn between_accounts_both_must_agree_and_within_one_either_suffices() {
    let all = policy(&[statement("Allow", "*", "*")]);
    let by_arn = |arn: &str| permission_for(&json!({ "AWS": arn }), None);
    let account =
        |account: &str| permission_for(&json!({ "AWS": format!("arn:aws:iam::{account}:root") }), None);
    use Reason::{NoIdentityPolicy, NoResourcePolicy};
    for (arn, own, of_resource, expected) in [
        (ALICE, None, Some(by_arn(ALICE)), Ok(())),
        (ALICE, None, Some(permission_for(&json!("*"), None)), Ok(())),
        // The account may allow it, and has not.
        (ALICE, None, Some(account("123456789012")), Err(NoIdentityPolicy)),
        (ALICE, None, Some(by_arn(BOB)), Err(NoIdentityPolicy)),
        (BOB, Some(&all), None, Err(NoResourcePolicy)),
        (BOB, Some(&all), Some(by_arn(ALICE)), Err(NoResourcePolicy)),
        (BOB, Some(&all), Some(by_arn(BOB)), Ok(())),
        (BOB, Some(&all), Some(account("999999999999")), Ok(())),
        (BOB, Some(&all), Some(permission_for(&json!({ "AWS": "999999999999" }), None)), Ok(())),
        (BOB, None, Some(account("999999999999")), Err(NoIdentityPolicy)),
        (BOB, None, Some(permission_for(&json!("*"), None)), Err(NoIdentityPolicy)),
    ] {
        let identity = identity(arn, own);
        let decided = asked(Caller::Identity(&identity), Context::default(), of_resource.as_ref());
        assert_eq!(decided, expected, "{arn} {of_resource:?}");
    }
}

#[test]
fn services_are_named_and_held_to_their_conditions() {
    let condition = json!({
        "StringEquals": { "AWS:SourceAccount": "123456789012" },
        "ArnLike": { "AWS:SourceArn": "arn:aws:s3:::bucket" },
    });
    let of_resource = permission_for(&json!({ "Service": "s3.amazonaws.com" }), Some(condition));
    let from =
        |arn: &str| Context::default().with("aws:SourceArn", arn).with("aws:SourceAccount", "123456789012");
    let s3 = Caller::Service("s3.amazonaws.com");
    assert_eq!(asked(s3, from("arn:aws:s3:::bucket"), Some(&of_resource)), Ok(()));
    assert_eq!(asked(s3, from("arn:aws:s3:::other"), Some(&of_resource)), Err(Reason::NoResourcePolicy));
    assert_eq!(asked(s3, Context::default(), Some(&of_resource)), Err(Reason::NoResourcePolicy));
    let sns = Caller::Service("sns.amazonaws.com");
    assert_eq!(asked(sns, from("arn:aws:s3:::bucket"), Some(&of_resource)), Err(Reason::NoResourcePolicy));
}

#[test]
fn a_public_url_is_public_because_its_policy_says_so() {
    let condition = json!({ "StringEquals": { "lambda:FunctionUrlAuthType": "NONE" } });
    let of_resource = permission_for(&json!("*"), Some(condition));
    let url = |auth_type: &str| Context::default().with("lambda:FunctionUrlAuthType", auth_type);
    assert_eq!(asked(Caller::Anyone, url("NONE"), Some(&of_resource)), Ok(()));
    assert_eq!(asked(Caller::Anyone, url("AWS_IAM"), Some(&of_resource)), Err(Reason::NoResourcePolicy));
    assert_eq!(asked(Caller::Anyone, url("NONE"), None), Err(Reason::NoResourcePolicy));
    let named = permission_for(&json!({ "AWS": ALICE }), None);
    assert_eq!(asked(Caller::Anyone, url("NONE"), Some(&named)), Err(Reason::NoResourcePolicy));
}

#[test]
fn an_organisation_is_a_condition_that_a_caller_without_one_fails() {
    let condition = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
    let of_resource = permission_for(&json!("*"), Some(condition));
    let alice = identity(ALICE, None);
    let member = Context::default().with("aws:PrincipalOrgID", "o-1");
    assert_eq!(asked(Caller::Identity(&alice), member, Some(&of_resource)), Ok(()));
    let stranger = asked(Caller::Identity(&alice), Context::default(), Some(&of_resource));
    assert_eq!(stranger, Err(Reason::NoIdentityPolicy));
}

#[test]
fn refusals_are_worded_as_aws_words_them() {
    let alice = identity(ALICE, None);
    let access = |caller| Access { caller, action: INVOKE, resource: FUNCTION, context: Context::default() };
    assert_eq!(
        decide(access(Caller::Identity(&alice)), None).unwrap_err().to_string(),
        "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: lambda:InvokeFunction on resource: \
         arn:aws:lambda:us-east-1:123456789012:function:orders because no identity-based policy allows the \
         lambda:InvokeFunction action"
    );
    let denied = identity(ALICE, Some(&policy(&[statement("Deny", "*", "*")])));
    let text = decide(access(Caller::Identity(&denied)), None).unwrap_err().to_string();
    assert!(text.ends_with("function:orders with an explicit deny in an identity-based policy"), "{text}");
}

#[test]
fn policies_that_are_not_understood_are_refused() {
    let identity = |document: &Value| Policy::of_identity(document).map(|_| ()).unwrap_err();
    let one = |statement: Value| identity(&policy(&[statement]));
    let allow = || statement("Allow", "*", "*");
    let with = |name: &str, value: Value| {
        let mut statement = allow();
        statement[name] = value;
        statement
    };
    assert_eq!(identity(&json!([])), InvalidPolicy::Form("policy"));
    assert_eq!(identity(&json!({})), InvalidPolicy::Form("Statement"));
    assert_eq!(
        identity(&json!({ "Statement": [], "Statements": [] })),
        InvalidPolicy::Member("Statements".into())
    );
    assert_eq!(one(with("Effect", json!("allow"))), InvalidPolicy::Form("Effect"));
    assert_eq!(one(with("Actions", json!("*"))), InvalidPolicy::Member("Actions".into()));
    assert_eq!(one(with("Action", json!([]))), InvalidPolicy::Form("Action"));
    assert_eq!(one(with("NotAction", json!("*"))), InvalidPolicy::Form("Action"));
    assert_eq!(one(with("Resource", json!({}))), InvalidPolicy::Form("Resource"));
    assert_eq!(
        one(with("Resource", json!("a/${aws:username}"))),
        InvalidPolicy::Variable("a/${aws:username}".into())
    );
    assert_eq!(one(with("Principal", json!("*"))), InvalidPolicy::Member("Principal".into()));
    let date = json!({ "DateLessThan": { "aws:CurrentTime": "2030-01-01T00:00:00Z" } });
    assert_eq!(one(with("Condition", date)), InvalidPolicy::Operator("DateLessThan".into()));
    let of_resource = |statement: Value| Policy::of_resource(&policy(&[statement])).map(|_| ()).unwrap_err();
    assert_eq!(of_resource(allow()), InvalidPolicy::Form("Principal"));
    assert_eq!(of_resource(with("Principal", json!("alice"))), InvalidPolicy::Form("Principal"));
    let federated = with("Principal", json!({ "Federated": "x" }));
    assert_eq!(of_resource(federated), InvalidPolicy::Member("Federated".into()));
}

proptest! {
    /// However statements are mixed: one that denies and applies decides; without one, one that allows and applies.
    #[test]
    fn denials_win_and_silence_refuses(choices in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..8)) {
        let statements: Vec<_> = choices
            .iter()
            .map(|(allows, applies)| {
                let action = if *applies { "lambda:Invoke*" } else { "lambda:Get*" };
                statement(if *allows { "Allow" } else { "Deny" }, action, "*")
            })
            .collect();
        let alice = identity(ALICE, Some(&policy(&statements)));
        let expected = if choices.contains(&(false, true)) {
            Err(Reason::DeniedByIdentity)
        } else if choices.contains(&(true, true)) {
            Ok(())
        } else {
            Err(Reason::NoIdentityPolicy)
        };
        prop_assert_eq!(asked(Caller::Identity(&alice), Context::default(), None), expected);
    }
}
