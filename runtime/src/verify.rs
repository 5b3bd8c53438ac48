//! Refuses a module whose state is not all in its memory and its exported numeric globals: restoring those two would
//! not bring such an instance back.

use crate::error::Error;
use wasmparser::{DataKind, ElementKind, ExternalKind, Operator, Parser, Payload, TypeRef};

/// Checks that an instance of `wasm` is as good as new once its memory and its one mutable global are.
pub(crate) fn restorable(wasm: &[u8]) -> Result<(), Error> {
    let found = scan(wasm).map_err(|error| rule(format!("it is not a valid module ({error})")))?;
    if found.memories != 1 {
        return Err(rule(format!("it has {} memories, not one", found.memories)));
    }
    if let Some(what) = found.broken {
        return Err(rule(what));
    }
    let unexported = found.mutable.iter().any(|global| !found.exported.contains(global));
    if unexported || found.mutable.len() > 1 {
        return Err(rule("it has a mutable global besides the exported stack pointer".into()));
    }
    Ok(())
}

fn rule(rule: String) -> Error {
    Error::Unrestorable { rule }
}

#[derive(Default)]
struct Found {
    memories: usize,
    /// Indices of mutable globals, and of exported ones.
    mutable: Vec<u32>,
    exported: Vec<u32>,
    broken: Option<String>,
}

fn scan(wasm: &[u8]) -> Result<Found, wasmparser::BinaryReaderError> {
    let mut found = Found::default();
    let mut globals = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if !matches!(import?.ty, TypeRef::Func(_)) {
                        found.broken = Some("it imports something that is not a function".into());
                    }
                }
            }
            Payload::MemorySection(memories) => found.memories += memories.count() as usize,
            Payload::GlobalSection(section) => {
                for global in section {
                    let ty = global?.ty;
                    if ty.mutable {
                        found.mutable.push(globals);
                        if matches!(ty.content_type, wasmparser::ValType::Ref(_)) {
                            found.broken = Some("a mutable global holds a reference".into());
                        }
                    }
                    globals += 1;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Global {
                        found.exported.push(export.index);
                    }
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    // Wizer leaves empty ones in the place of the segments that it merged.
                    if matches!(segment.kind, DataKind::Passive) && !segment.data.is_empty() {
                        found.broken = Some("a data segment is passive".into());
                    }
                }
            }
            Payload::ElementSection(segments) => {
                for segment in segments {
                    if matches!(segment?.kind, ElementKind::Passive) {
                        found.broken = Some("an element segment is passive".into());
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    if let Some(what) = mutation(&operator?) {
                        found.broken = Some(format!("it uses `{what}`"));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Instructions that change state outside memory and globals.
fn mutation(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::DataDrop { .. } => "data.drop",
        Operator::MemoryInit { .. } => "memory.init",
        _ => return None,
    })
}
