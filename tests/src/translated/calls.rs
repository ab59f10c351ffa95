//! Instructions, cut into functions, and the calls in them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{FuncInfo, Symbols};

// Operation codes of include/uapi/linux/bpf.h and, for the tail call after the verifier, include/linux/filter.h.
const CALL: u8 = 0x85;
const TAIL_CALL: u8 = 0xf0;
// Values of the source register of a call.
const HELPER: u8 = 0;
const SUB_PROGRAM: u8 = 1;
const KFUNC: u8 = 2;
/// `BPF_FUNC_tail_call`: the one helper that the kernel still shows by its number.
const TAIL_CALL_ID: i32 = 12;

/// How often each name is called.
pub type Calls = BTreeMap<String, u32>;

/// A function of a translated program.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name in the program's BTF.
    pub name: String,
    /// Slots of 8 bytes; a load of 64 bits takes two.
    pub instructions: usize,
    /// Calls of helpers, tail calls among them.
    pub helpers: Calls,
    /// Calls of other functions of the program.
    pub sub_programs: Calls,
    /// Calls of kernel functions by BTF.
    pub kfuncs: Calls,
}

/// Cuts `code` where functions start.
///
/// # Errors
/// When the starts do not begin with 0, do not ascend, or lie beyond the code.
pub(super) fn split(
    code: &[u64],
    starts: &[FuncInfo],
    names: &BTreeMap<u32, String>,
    symbols: &Symbols,
) -> Result<Vec<Function>> {
    if starts.first().is_none_or(|first| first.insn_off != 0) {
        anyhow::bail!("the kernel does not tell where the program's functions start");
    }
    let name = |index: usize, start: &FuncInfo| {
        names.get(&start.type_id).cloned().unwrap_or_else(|| format!("function {index}"))
    };
    let at: BTreeMap<usize, String> = starts
        .iter()
        .enumerate()
        .map(|(index, start)| (start.insn_off as usize, name(index, start)))
        .collect();
    let ends = starts.iter().skip(1).map(|next| next.insn_off as usize).chain([code.len()]);
    let bounds = starts.iter().map(|start| start.insn_off as usize).zip(ends);
    bounds
        .map(|(start, end)| {
            let body = code.get(start..end).context("the functions do not fit the program")?;
            let mut function =
                Function { name: at[&start].clone(), instructions: body.len(), ..Function::default() };
            for (offset, instruction) in body.iter().enumerate() {
                function.count(*instruction, start + offset, &at, symbols);
            }
            Ok(function)
        })
        .collect()
}

impl Function {
    /// Counts the instruction that stands at `position` if it is a call.
    fn count(&mut self, instruction: u64, position: usize, at: &BTreeMap<usize, String>, symbols: &Symbols) {
        let [operation, registers, low, high, immediate @ ..] = instruction.to_ne_bytes();
        let (offset, immediate) = (i16::from_ne_bytes([low, high]), i32::from_ne_bytes(immediate));
        let (calls, name) = match (operation, registers >> 4) {
            (TAIL_CALL, _) => (&mut self.helpers, helper(TAIL_CALL_ID, symbols)),
            (CALL, HELPER) => (&mut self.helpers, helper(immediate, symbols)),
            // The number is the function's among those of the program, the offset the way there.
            (CALL, SUB_PROGRAM) => {
                let target = position.checked_add_signed(isize::from(offset) + 1);
                let name = target.and_then(|target| at.get(&target)).cloned();
                (&mut self.sub_programs, name.unwrap_or_else(|| format!("function {immediate}")))
            }
            (CALL, KFUNC) => {
                let name = symbols.of_call(immediate).map(str::to_owned);
                (&mut self.kfuncs, name.unwrap_or_else(|| format!("kfunc {immediate}")))
            }
            _ => return,
        };
        *calls.entry(name).or_default() += 1;
    }
}

fn helper(immediate: i32, symbols: &Symbols) -> String {
    match immediate {
        TAIL_CALL_ID => "bpf_tail_call".to_owned(),
        _ => symbols.of_call(immediate).map_or_else(|| format!("helper {immediate}"), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: u64 = 0x95;

    #[test]
    fn calls_are_counted_in_the_function_that_makes_them() {
        // The second word of a load of 64 bits may hold anything, but its operation code is 0.
        let code = [
            call(HELPER, 0, 0x10),
            0x18,
            0x85_0000_0000,
            call(HELPER, 0, 0x10),
            call(HELPER, 0, 12),
            call(SUB_PROGRAM, 2, 1),
            call(KFUNC, 0, 0x20),
            EXIT,
            call(HELPER, 0, 0x30),
            EXIT,
        ];
        let functions = split(&code, &[start(0, 5), start(8, 7)], &names(), &symbols()).unwrap();
        let entry = Function {
            name: "lb".to_owned(),
            instructions: 8,
            helpers: counts(&[("bpf_redirect", 2), ("bpf_tail_call", 1)]),
            sub_programs: counts(&[("route", 1)]),
            kfuncs: counts(&[("bpf_kfunc", 1)]),
        };
        let route = Function {
            name: "route".to_owned(),
            instructions: 2,
            helpers: counts(&[("helper 48", 1)]),
            ..Function::default()
        };
        assert_eq!(functions, [entry, route]);
    }

    #[test]
    fn a_tail_call_after_the_verifier_is_one_too() {
        let functions = split(&[u64::from(TAIL_CALL), EXIT], &[start(0, 5)], &names(), &symbols()).unwrap();
        assert_eq!(functions[0].helpers, counts(&[("bpf_tail_call", 1)]));
    }

    #[test]
    fn what_has_no_name_has_a_number() {
        let code = [call(SUB_PROGRAM, -9, 1), call(KFUNC, 0, 0x30), EXIT];
        let functions = split(&code, &[start(0, 99)], &names(), &symbols()).unwrap();
        assert_eq!(functions[0].name, "function 0");
        assert_eq!(functions[0].sub_programs, counts(&[("function 1", 1)]));
        assert_eq!(functions[0].kfuncs, counts(&[("kfunc 48", 1)]));
    }

    #[test]
    fn starts_that_make_no_sense_are_errors() {
        for starts in
            [&[][..], &[start(1, 5)], &[start(0, 5), start(3, 7)], &[start(0, 5), start(2, 7), start(1, 7)]]
        {
            assert!(split(&[EXIT, EXIT], starts, &names(), &symbols()).is_err(), "{starts:?}");
        }
    }

    fn call(source: u8, offset: i16, immediate: i32) -> u64 {
        let ([low, high], [a, b, c, d]) = (offset.to_ne_bytes(), immediate.to_ne_bytes());
        u64::from_ne_bytes([CALL, source << 4, low, high, a, b, c, d])
    }

    fn start(insn_off: u32, type_id: u32) -> FuncInfo {
        FuncInfo { insn_off, type_id }
    }

    fn names() -> BTreeMap<u32, String> {
        [(5, "lb"), (7, "route")].map(|(id, name)| (id, name.to_owned())).into()
    }

    fn symbols() -> Symbols {
        Symbols::parse("1000 T __bpf_call_base\n1010 T bpf_redirect\n1020 T bpf_kfunc\n")
    }

    fn counts(calls: &[(&str, u32)]) -> Calls {
        calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}
