from mcpbayes.tables.columns import columns
from mcpbayes.tables.example import example_path, read_example


def test_example_travels_with_the_package():
    table = read_example()
    assert table.attrs["source"] == "example.csv"
    assert table.attrs["path"] == "example.csv"
    assert example_path().is_file()
    assert {column.name for column in columns("comparison") if column.required} <= set(table.columns)
