"""Small source folders, and the reference data where it is at hand."""

import os
from pathlib import Path

import pytest

OLIST = {
    "orders": (
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
        "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date",
        "{a},cust-a,delivered,2018-07-01 12:00:00,2018-07-01 12:10:00,2018-07-02 09:00:00,2018-07-05 18:00:00,"
        "2018-07-20 00:00:00",
        "{b},cust-b,unavailable,2018-07-01 10:00:00,2018-07-01 13:00:00,,,2018-07-20 00:00:00",
        "{c},cust-c,delivered,2018-07-03 08:00,2018-07-03 09:00,2018-07-02 08:00,,2018-07-20 00:00",
        "{d},cust-d,canceled,2018-07-04 08:00:00,,,,2018-07-20 00:00:00",
    ),
    "items": (
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
        "{a},2,prod-2,sell-1,2018-07-04 12:00:00,5.5,1.25",
        "{a},1,prod-1,sell-1,2018-07-03 12:00:00,99.9,27.65",
        "{c},1,prod-1,sell-1,2018-07-05 12:00:00,10.0,0.0",
        "{d},1,prod-1,sell-1,2018-07-06 12:00:00,10.0,2.0",
    ),
    "payments": (
        "order_id,payment_sequential,payment_type,payment_installments,payment_value",
        "{a},2,voucher,1,34.3",
        "{a},1,credit_card,2,100.0",
        "{b},1,boleto,1,20.0",
        "{c},1,credit_card,1,10.0",
        "{d},1,credit_card,1,12.0",
    ),
    "customers": (
        "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state",
        "cust-a,person-a,01012,sao paulo,SP",
    ),
    "products": ("product_id,product_category_name", "prod-1,beleza_saude", "prod-2,"),
    "product_category_name_translation": (
        "product_category_name,product_category_name_english",
        "beleza_saude,health_beauty",
    ),
}
IDS = {name: name * 32 for name in "abcd"}


@pytest.fixture
def olist(tmp_path: Path) -> Path:
    """The published names, plain CSV: a delivered, b without items, c delivered without a date, d never approved."""
    for table, lines in OLIST.items():
        name = table if table.endswith("translation") else f"olist_{table.replace('items', 'order_items')}_dataset"
        name = name.replace("olist_payments", "olist_order_payments")
        text = "\n".join(lines).format(**IDS) + "\n"
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8-sig")
    return tmp_path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference data: OMS_REFERENCE, or a folder `shared` beside the repository; the test is skipped without it."""
    root = Path(os.environ.get("OMS_REFERENCE") or Path(__file__).resolve().parents[4] / "shared")
    if not (root / "data").is_dir():
        pytest.skip("reference data not at hand (set OMS_REFERENCE)")
    return root / "data"
