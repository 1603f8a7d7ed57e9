"""The tables of the shop, and its first product."""

import django.db.models.deletion
from django.db import migrations, models


def add_tea(apps, schema_editor):
    """Every shop sells tea."""
    apps.get_model("shop", "Product").objects.create(name="tea", price=350, stock=10)


class Migration(migrations.Migration):
    """All that there is so far."""

    operations = [
        migrations.CreateModel(
            "Product",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100, unique=True)),
                ("price", models.PositiveIntegerField(help_text="in cents")),
                ("stock", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("amount", models.PositiveIntegerField()),
                ("product", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="shop.product")),
            ],
        ),
        migrations.RunPython(add_tea, migrations.RunPython.noop),
    ]
