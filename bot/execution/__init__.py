"""How an approved trade becomes orders; the only code that can send one."""
