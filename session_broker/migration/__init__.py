"""Leaving a platform's own tokens behind, in four phases that can be walked both ways.

phase         what each phase accepts and hands upstream
legacy_token  the platform's HS256 tokens, read and written here alone
roles         the one enumeration of legacy role names
"""
