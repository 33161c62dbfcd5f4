//! Tables.

use maud::{Markup, html};
use stage_contract::report::{Better, Cell, Column, Fold, Measure, Table, number};

use super::{
    figures::{better, interval, with_unit},
    wide::wide,
};

pub(super) fn table(table: &Table) -> Markup {
    let rows = wide(&table.title, &rows(table));
    match table.fold {
        Fold::Never => rows,
        Fold::Open => html! { details open { summary { (table.title) } (rows) } },
        Fold::Closed => html! { details { summary { (table.title) } (rows) } },
    }
}

fn rows(table: &Table) -> Markup {
    html! {
        table {
            thead { tr { @for column in &table.columns { (head(column)) } } }
            tbody {
                @for row in &table.rows {
                    tr {
                        @for (place, (column, cell)) in table.columns.iter().zip(row).enumerate() {
                            @let (class, said) = written(column, cell);
                            @if place == 0 { th class=[class] scope="row" { (said) } }
                            @else { td class=[class] { (said) } }
                        }
                    }
                }
            }
        }
    }
}

/// An arrow says which values are better.
fn head(column: &Column) -> Markup {
    match column {
        Column::Text(name) => html! { th scope="col" { (name) } },
        Column::Measure(Measure { name, better: way, .. }) => {
            let hint = way.map(|way| match way {
                Better::Higher => "higher is better",
                Better::Lower => "lower is better",
            });
            html! { th.number scope="col" title=[hint] { (name) (better(*way)) } }
        }
    }
}

fn written(column: &Column, cell: &Cell) -> (Option<&'static str>, Markup) {
    let class = matches!(column, Column::Measure(_)).then_some("number");
    let said = match (column, cell) {
        (Column::Measure(measure), Cell::Value(value, ends)) => html! {
            (with_unit(measure, *value))
            @if let Some(ends) = ends.filter(|[low, high]| low < high) { br; small { (interval(measure, ends)) } }
        },
        (Column::Text(_), Cell::Value(value, _)) => html! { (number(*value)) },
        (_, Cell::Text(text)) => html! { (text) },
        (Column::Measure(_), Cell::Empty) => html! { "\u{2013}" },
        (Column::Text(_), Cell::Empty) => html! {},
    };
    (class, said)
}
