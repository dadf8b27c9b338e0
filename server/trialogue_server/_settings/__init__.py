"""Where settings come from and how they are shown. Which there are stands in ``config``, a row for each.

settings     one TOML file, below the environment, below flags
setting      one setting as others see it
credentials  secrets that systemd hands over as files
masking      what is a secret is not shown to a person
"""
