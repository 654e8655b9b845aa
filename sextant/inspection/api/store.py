"""The API's state: one DynamoDB table, each change one transaction whose conditions are checked with it.

Items have a partition key `pk` and a sort key `sk`, both text. Times are seconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Key: TypeAlias = tuple[str, str]
Item: TypeAlias = dict[str, Any]

_BATCH = 25  # DynamoDB's limit
_RAW = TypeSerializer()
_COOKED = TypeDeserializer()


@dataclass(frozen=True)
class Put:
    """Writes an item; with `absent` only where there is none."""

    key: Key
    item: Mapping[str, Any]
    absent: bool = True


@dataclass(frozen=True)
class Change:
    """Sets attributes of an item that is there. `where` tells which values an attribute may have for it."""

    key: Key
    changes: Mapping[str, Any]
    where: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Remove:
    """Deletes an item; with `where` only one that is there and has such values."""

    key: Key
    where: Mapping[str, Sequence[Any]] = field(default_factory=dict)


Action: TypeAlias = Put | Change | Remove


@dataclass(frozen=True)
class Table:
    """The table `name`; `client` is boto3's of DynamoDB."""

    client: Any
    name: str

    def get(self, key: Key) -> Item | None:
        """An item without its keys, as of now, or None."""
        found = self.client.get_item(TableName=self.name, Key=_key(key), ConsistentRead=True).get("Item")
        return None if found is None else _cooked(found)

    def commit(self, *actions: Action) -> frozenset[int]:
        """Does all actions or none.

        Returns:
            The positions of the actions whose conditions do not hold; empty when all is done.

        Raises:
            ClientError: anything else, such as a conflict with another transaction, which may be tried again.
        """
        try:
            self.client.transact_write_items(TransactItems=[self._written(action) for action in actions])
        except self.client.exceptions.TransactionCanceledException as error:
            codes = [each.get("Code") for each in error.response.get("CancellationReasons", [])]
            failed = frozenset(at for at, code in enumerate(codes) if code == "ConditionalCheckFailed")
            if not failed:
                raise
            return failed
        return frozenset()

    def below(self, pk: str, prefix: str = "", after: str = "") -> Iterator[tuple[str, Item]]:
        """Sort keys and items of a partition whose sort keys begin with `prefix` and come after `after`, in order."""
        start: dict[str, Any] = {"ExclusiveStartKey": _key((pk, after))} if after else {}
        while True:
            page = self.client.query(
                TableName=self.name,
                KeyConditionExpression="pk = :pk" + (" AND begins_with(sk, :sk)" if prefix else ""),
                ExpressionAttributeValues={":pk": _RAW.serialize(pk)}
                | ({":sk": _RAW.serialize(prefix)} if prefix else {}),
                ConsistentRead=True,
                **start,
            )
            for raw in page["Items"]:
                yield raw["sk"]["S"], _cooked(raw)
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def last(self, pk: str, prefix: str) -> tuple[str, Item] | None:
        """The last sort key of a partition that begins with `prefix`, and its item."""
        page = self.client.query(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": _RAW.serialize(pk), ":sk": _RAW.serialize(prefix)},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=1,
        )
        return next(((raw["sk"]["S"], _cooked(raw)) for raw in page["Items"]), None)

    def put_all(self, items: Iterable[tuple[Key, Mapping[str, Any]]]) -> None:
        """Writes many items, each with a key of its own; what was there is replaced."""
        self._batches({"PutRequest": {"Item": _key(key) | _raw(item)}} for key, item in items)

    def remove_all(self, keys: Iterable[Key]) -> None:
        """Deletes many items."""
        self._batches({"DeleteRequest": {"Key": _key(key)}} for key in keys)

    def _batches(self, requests: Iterable[Item]) -> None:
        batch: list[Item] = []
        for request in requests:
            batch.append(request)
            if len(batch) == _BATCH:
                batch = self._batch(batch)
        while batch:
            batch = self._batch(batch)

    def _batch(self, batch: list[Item]) -> list[Item]:
        """What DynamoDB left over; the client's own back-off has then been through already."""
        left = self.client.batch_write_item(RequestItems={self.name: batch}).get("UnprocessedItems", {})
        return list(left.get(self.name, []))

    def _written(self, action: Action) -> Item:
        match action:
            case Put(key, item, absent):
                new = {"ConditionExpression": "attribute_not_exists(pk)"} if absent else {}
                return {"Put": {"TableName": self.name, "Item": _key(key) | _raw(item), **new}}
            case Change(key, changes, where):
                names, values, told = _condition(where)
                sets = []
                for at, (name, value) in enumerate(changes.items()):
                    names[f"#s{at}"], values[f":s{at}"] = name, _RAW.serialize(_plain(value))
                    sets.append(f"#s{at} = :s{at}")
                return {
                    "Update": {
                        "TableName": self.name,
                        "Key": _key(key),
                        "UpdateExpression": "SET " + ", ".join(sets),
                        "ConditionExpression": " AND ".join(["attribute_exists(pk)", *told]),
                        "ExpressionAttributeNames": names,
                        "ExpressionAttributeValues": values,
                    }
                }
            case Remove(key, where):
                names, values, told = _condition(where)
                conditional = {
                    "ConditionExpression": " AND ".join(told),
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": values,
                }
                return {"Delete": {"TableName": self.name, "Key": _key(key), **(conditional if where else {})}}


def _condition(where: Mapping[str, Sequence[Any]]) -> tuple[dict[str, str], Item, list[str]]:
    names: dict[str, str] = {}
    values: Item = {}
    told = []
    for at, (name, allowed) in enumerate(where.items()):
        names[f"#w{at}"] = name
        for number, value in enumerate(allowed):
            values[f":w{at}x{number}"] = _RAW.serialize(_plain(value))
        told.append(f"#w{at} IN ({', '.join(f':w{at}x{number}' for number in range(len(allowed)))})")
    return names, values, told


def _key(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _raw(item: Mapping[str, Any]) -> Item:
    return {name: _RAW.serialize(_plain(value)) for name, value in item.items() if value is not None}


def _cooked(raw: Mapping[str, Any]) -> Item:
    return {name: _COOKED.deserialize(value) for name, value in raw.items() if name not in {"pk", "sk"}}


def _plain(value: Any) -> Any:
    """DynamoDB takes decimals, and no floats."""
    match value:
        case float():
            return Decimal(repr(value))
        case Mapping():
            return {name: _plain(each) for name, each in value.items() if each is not None}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value
