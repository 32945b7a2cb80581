//! The model's names as Rust has them.

/// `KMSKeyArn` → `kms_key_arn`, a name that can be a field.
pub(super) fn field(name: &str) -> String {
    let snake = snake(name);
    match snake.as_str() {
        // The only keywords among the members of this API.
        "type" | "enum" | "match" => format!("r#{snake}"),
        _ => snake,
    }
}

/// `CreateFunctionRequest` → `CREATE_FUNCTION_REQUEST`.
pub(super) fn constant(name: &str) -> String {
    snake(name).to_uppercase()
}

/// What serde's `PascalCase` makes of a field.
pub(super) fn pascal(field: &str) -> String {
    field
        .trim_start_matches("r#")
        .split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect()
}

/// A word begins at an upper-case letter after a lower-case one or a digit, and at the last of several upper-case
/// letters if a lower-case one follows.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let after_lower = index > 0 && !letters[index - 1].is_uppercase();
        let before_lower = letters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && index > 0 && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_where_a_reader_would_begin_them() {
        for (name, expected) in [
            ("FunctionName", "function_name"),
            ("KMSKeyArn", "kms_key_arn"),
            ("SourceKMSKeyArn", "source_kms_key_arn"),
            ("S3ObjectVersion", "s3_object_version"),
            ("UUID", "uuid"),
            ("Ipv6AllowedForDualStack", "ipv6_allowed_for_dual_stack"),
            ("EC2AccessDenied", "ec2_access_denied"),
            ("PrincipalOrgID", "principal_org_id"),
            ("Type", "r#type"),
        ] {
            assert_eq!(field(name), expected);
        }
        assert_eq!(constant("EFSIOException"), "EFSIO_EXCEPTION");
        assert_eq!(pascal("function_name"), "FunctionName");
        assert_eq!(pascal("kms_key_arn"), "KmsKeyArn");
        assert_eq!(pascal("r#type"), "Type");
    }
}
