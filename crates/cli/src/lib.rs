//! tradepost: the local provider, the simulated Vercel and the month between them
