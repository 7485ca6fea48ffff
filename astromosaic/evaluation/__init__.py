"""Measurements of how good the answers are; every published figure has one command."""
