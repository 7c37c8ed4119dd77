//! The structures of parquet.thrift by field id, as far as the reader we use knows them. A field that is not here is
//! looked at by nobody, and is therefore treated like a gap (INV-11).

use super::thrift::Shape;

const ANY: &Shape = &Shape::Any;
/// Most schema elements: 4,096 leaf columns and their groups.
const SCHEMA_MAX: usize = 16 * 1024;
/// Most column chunks of a row group.
const COLUMNS_MAX: usize = 4096;
/// Most row groups of a file.
const ROW_GROUPS_MAX: usize = 32 * 1024;

const SCHEMA_ELEMENT: &Shape = &Shape::Struct(&[
    (1, ANY),  // type
    (2, ANY),  // type_length
    (3, ANY),  // repetition_type
    (4, ANY),  // name
    (5, ANY),  // num_children
    (6, ANY),  // converted_type
    (7, ANY),  // scale
    (8, ANY),  // precision
    (9, ANY),  // field_id
    (10, ANY), // logicalType
]);

const STATISTICS: &Shape = &Shape::Struct(&[
    (1, ANY), // max
    (2, ANY), // min
    (3, ANY), // null_count
    (4, ANY), // distinct_count
    (5, ANY), // max_value
    (6, ANY), // min_value
    (7, ANY), // is_max_value_exact
    (8, ANY), // is_min_value_exact
    // nan_count: newer than our reader, but a number hides nothing.
    (9, &Shape::Integer),
]);

const KEY_VALUE: &Shape = &Shape::Struct(&[(1, ANY), (2, ANY)]);

const SIZE_STATISTICS: &Shape = &Shape::Struct(&[(1, ANY), (2, ANY), (3, ANY)]);

const ENCODING_STATS: &Shape = &Shape::Struct(&[(1, ANY), (2, ANY), (3, ANY)]);

const COLUMN_METADATA: &Shape = &Shape::Struct(&[
    (1, ANY), // type
    (2, ANY), // encodings
    (3, ANY), // path_in_schema
    (4, ANY), // codec
    (5, ANY), // num_values
    (6, ANY), // total_uncompressed_size
    (7, ANY), // total_compressed_size
    // 8, key_value_metadata of a column, is read by nobody.
    (9, ANY),  // data_page_offset
    (10, ANY), // index_page_offset
    (11, ANY), // dictionary_page_offset
    (12, STATISTICS),
    (13, &Shape::List(ENCODING_STATS, 1024)),
    (14, ANY), // bloom_filter_offset
    (15, ANY), // bloom_filter_length
    (16, SIZE_STATISTICS),
    (17, ANY), // geospatial_statistics
]);

const COLUMN_CHUNK: &Shape = &Shape::Struct(&[
    (1, ANY), // file_path
    (2, ANY), // file_offset
    (3, COLUMN_METADATA),
    (4, ANY), // offset_index_offset
    (5, ANY), // offset_index_length
    (6, ANY), // column_index_offset
    (7, ANY), // column_index_length
]);

const SORTING_COLUMN: &Shape = &Shape::Struct(&[(1, ANY), (2, ANY), (3, ANY)]);

const ROW_GROUP: &Shape = &Shape::Struct(&[
    (1, &Shape::List(COLUMN_CHUNK, COLUMNS_MAX)),
    (2, ANY), // total_byte_size
    (3, ANY), // num_rows
    (4, &Shape::List(SORTING_COLUMN, COLUMNS_MAX)),
    (5, ANY), // file_offset
    (6, ANY), // total_compressed_size
    (7, ANY), // ordinal
]);

/// `FileMetaData`; its fields 8 and 9 say that the file is encrypted or signed.
pub(super) static FILE_METADATA: Shape = Shape::Struct(&[
    (1, ANY), // version
    (2, &Shape::List(SCHEMA_ELEMENT, SCHEMA_MAX)),
    (3, ANY), // num_rows
    (4, &Shape::List(ROW_GROUP, ROW_GROUPS_MAX)),
    (5, &Shape::List(KEY_VALUE, 4096)),
    (6, ANY), // created_by
    (7, &Shape::List(ANY, SCHEMA_MAX)),
    (8, ANY),
    (9, ANY),
]);

/// `PageHeader`.
pub(super) static PAGE_HEADER: Shape = Shape::Struct(&[
    (1, ANY), // type
    (2, ANY), // uncompressed_page_size
    (3, ANY), // compressed_page_size
    (4, ANY), // crc
    (
        5,
        &Shape::Struct(&[(1, ANY), (2, ANY), (3, ANY), (4, ANY), (5, STATISTICS)]),
    ),
    (7, &Shape::Struct(&[(1, ANY), (2, ANY), (3, ANY)])),
    (
        8,
        &Shape::Struct(&[
            (1, ANY),
            (2, ANY),
            (3, ANY),
            (4, ANY),
            (5, ANY),
            (6, ANY),
            (7, ANY),
            (8, STATISTICS),
        ]),
    ),
]);

/// `ColumnIndex`.
pub(super) static COLUMN_INDEX: Shape = Shape::Struct(&[
    (1, ANY),
    (2, ANY),
    (3, ANY),
    (4, ANY),
    (5, ANY),
    (6, ANY),
    (7, ANY),
]);

/// `BloomFilterHeader`.
pub(super) static BLOOM_FILTER_HEADER: Shape =
    Shape::Struct(&[(1, ANY), (2, ANY), (3, ANY), (4, ANY)]);
