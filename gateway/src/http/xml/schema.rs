//! The published schema (XSD 1.0), written from the same shapes.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::shapes::{Shape, Shapes};
use super::{MEDIA_TYPE, NAMESPACE, ROOTS};

/// Values whose members nobody knows beforehand.
const FREE: &str = r#"  <xs:complexType name="free" mixed="true">
    <xs:choice minOccurs="0" maxOccurs="unbounded">
      <xs:element name="member" type="v:named"/>
      <xs:element name="item" type="v:typed"/>
    </xs:choice>
  </xs:complexType>
  <xs:complexType name="typed" mixed="true">
    <xs:complexContent mixed="true">
      <xs:extension base="v:free">
        <xs:attribute name="type" type="v:kind" default="string"/>
      </xs:extension>
    </xs:complexContent>
  </xs:complexType>
  <xs:complexType name="named" mixed="true">
    <xs:complexContent mixed="true">
      <xs:extension base="v:typed">
        <xs:attribute name="name" type="xs:string" use="required"/>
      </xs:extension>
    </xs:complexContent>
  </xs:complexType>
  <xs:simpleType name="kind">
    <xs:restriction base="xs:string">
      <xs:enumeration value="string"/>
      <xs:enumeration value="number"/>
      <xs:enumeration value="boolean"/>
      <xs:enumeration value="null"/>
      <xs:enumeration value="array"/>
      <xs:enumeration value="object"/>
    </xs:restriction>
  </xs:simpleType>
"#;

impl Shapes {
    /// The schema's text.
    pub(super) fn schema(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:v=\"{NAMESPACE}\" \
             targetNamespace=\"{NAMESPACE}\" elementFormDefault=\"qualified\">\n"
        );
        for (root, schema) in ROOTS {
            let _ = writeln!(out, "  <xs:element name=\"{root}\" type=\"v:{schema}\"/>");
        }
        for (name, members) in &self.0 {
            let _ = writeln!(out, "  <xs:complexType name=\"{name}\">\n    <xs:all>");
            for (member, found) in members {
                let occurs = if found.needed { "" } else { " minOccurs=\"0\"" };
                match &found.shape {
                    Shape::List(of) => {
                        let _ = writeln!(
                            out,
                            "      <xs:element name=\"{member}\"{occurs}>\n        <xs:complexType>\n          <xs:sequence>\n            \
                             <xs:element name=\"item\" type=\"{}\" minOccurs=\"0\" maxOccurs=\"unbounded\"/>\n          </xs:sequence>\n        \
                             </xs:complexType>\n      </xs:element>",
                            type_of(of)
                        );
                    }
                    other => {
                        let _ = writeln!(out, "      <xs:element name=\"{member}\" type=\"{}\"{occurs}/>", type_of(other));
                    }
                }
            }
            out.push_str("    </xs:all>\n  </xs:complexType>\n");
        }
        out.push_str(FREE);
        out.push_str("</xs:schema>\n");
        out
    }
}

/// A list of lists has none: no schema of ours has one, as a test holds.
fn type_of(shape: &Shape) -> String {
    match shape {
        Shape::Text => "xs:string".to_owned(),
        Shape::Integer => "xs:integer".to_owned(),
        Shape::Number => "xs:double".to_owned(),
        Shape::Boolean => "xs:boolean".to_owned(),
        Shape::Free | Shape::List(_) => "v:free".to_owned(),
        Shape::Of(name) => format!("v:{name}"),
    }
}

/// The schema's text, written once.
#[derive(Debug, Clone)]
pub(crate) struct Page(pub(super) Arc<str>);

/// The schema of the API's XML (XSD 1.0). What is added to the API is added to it; what is there stays.
#[utoipa::path(get, path = "/schemas/voxea-1.xsd", tag = "about", responses((status = 200, description = "XSD 1.0", content_type = "application/xml")))]
pub(crate) async fn published(Extension(page): Extension<Page>) -> Response {
    ([(CONTENT_TYPE, MEDIA_TYPE)], page.0.to_string()).into_response()
}
