#!/usr/bin/env python
"""The command line of the shop: ``python manage.py test --isolated`` runs each test in a process of its own."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_settings")
    execute_from_command_line(sys.argv)
