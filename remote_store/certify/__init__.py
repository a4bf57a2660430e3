"""Proof that a store keeps the contract, for anybody's storage."""
