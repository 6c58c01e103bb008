//! A simulated Vercel Marketplace: stateful, seeded, with a clock and faults of its own
