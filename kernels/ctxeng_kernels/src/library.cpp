// What the others need to know of this build.

extern "C" {

// Whether this processor has what the kernels were compiled for.
int ctxeng_runs_here() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
}
