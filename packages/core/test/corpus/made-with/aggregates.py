"""Prints aggregates as JSON. With: pip install aws_kinesis_agg==1.2.3 six; python aggregates.py"""

import json

from aws_kinesis_agg.aggregator import RecordAggregator

CASES = json.load(open("cases.json", encoding="utf-8"))
made = {}
for name, records in CASES.items():
    aggregator = RecordAggregator()
    for record in records:
        data = bytes.fromhex(record["data"])
        aggregator.add_user_record(record["partitionKey"], data, record.get("explicitHashKey"))
    made[name] = aggregator.clear_and_get().get_contents()[2].hex()
print(json.dumps(made, indent=2))
