//! The flows of a Vercel Marketplace provider
