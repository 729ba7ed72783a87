export { type DataFolder, isOwnPath, openDataFolder } from './data-folder.ts'
export { openStore } from './open.ts'
export { type Sql, type SqlValue, sql, sqlList } from './sql.ts'
export type { ColumnTypes, Dialect, Durability, Migration, Reader, Store, Tx } from './store.ts'
