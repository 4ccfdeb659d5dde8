"""One machine's development stack: PostgreSQL, Temporal, payment service, worker and gateway, supervised.

async with Stack(StackConfig.for_tests(data_dir)) as stack:
    await stack["worker"].kill()
    await stack["worker"].wait_ready()
"""
