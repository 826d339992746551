"""The public extension API: what a check, a connector or a pack is written against."""
