//! Runs one axum router on AWS Lambda, on Vercel or on localhost
