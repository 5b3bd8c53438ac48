//! How long a fresh interpreter takes to run a program: for finding out what a change did. `just bench` prints the table
//! of docs/performance.md.
#![expect(clippy::expect_used, reason = "criterion's functions cannot fail in another way")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use exuvia_runtime::{Cache, Config, Isolated, Limits, Program, Sandbox, Silent};
use tokio_util::sync::CancellationToken;

const PROGRAMS: [(&str, &str); 6] = [
    ("pass", "pass"),
    ("print", "print(1)"),
    ("json", "import json\nprint(json.dumps(json.loads('{\"a\": [1, 2.5, null]}')))"),
    ("import pandas", "import pandas\npandas.__version__"),
    ("groupby", "import pandas as pd\npd.DataFrame({'k': list('abab'), 'v': [1, 2, 3, 4]}).groupby('k')['v'].sum()"),
    ("plot", "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.savefig('plot.png')"),
];

fn fresh(criterion: &mut Criterion) {
    let sandbox = Cache::of_user().and_then(|cache| Sandbox::open(&Config::new(cache), &Silent));
    let sandbox = sandbox.expect("the sandbox opens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the runtime starts");
    let mut group = criterion.benchmark_group("fresh");
    let limits = Limits::default();
    for (name, source) in PROGRAMS {
        let program = Program::new(source);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let host = Box::new(Isolated::default());
                runtime.block_on(sandbox.run(&program, &limits, host, CancellationToken::new()))
            });
        });
    }
}

criterion_group!(benches, fresh);
criterion_main!(benches);
