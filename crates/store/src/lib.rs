//! Typed items on one DynamoDB table, behind a door that can fail
